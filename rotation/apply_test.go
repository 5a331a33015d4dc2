package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// target is a place outside Key Vault with one password.
type target struct {
	password secret.Value
	sets     int
	set      func(ctx context.Context, now, next rotation.Credential) error // nil: takes it
	verify   func(c rotation.Credential) error                              // nil: compares
}

func (f *target) Set(ctx context.Context, now, next rotation.Credential) error {
	f.sets++
	if f.set != nil {
		if err := f.set(ctx, now, next); err != nil {
			return err
		}
	}
	f.password = next.Secret
	return nil
}

func (f *target) Verify(_ context.Context, c rotation.Credential) error {
	if f.verify != nil {
		return f.verify(c)
	}
	if !f.password.Equal(c.Secret) {
		return rotation.ErrDenied
	}
	return nil
}

func (f *target) options(o *rotation.Options) {
	o.Kinds = append(o.Kinds, rotation.Define("fake", "a target of tests", func(rotation.Deps, struct{}) (rotation.Rotator, error) { return f, nil }))
	o.Settings.Targets = []rotation.Target{{Name: "fake", Type: "fake", Secrets: []string{"app-*"}, Outage: true}}
}

func newTarget() *target { return &target{password: secret.New(oldValue)} }

func TestApply(t *testing.T) {
	errNetwork := errors.New("connection reset")
	for _, c := range []struct {
		name    string
		target  func(*target)
		verdict rotation.Verdict
		reason  rotation.Reason
		sets    int
		alerts  int
	}{
		{"takes it", func(*target) {}, rotation.Rotated, rotation.ReasonNearExpiry, 1, 1},
		{"refuses two and takes the third", func(f *target) {
			f.set = func(context.Context, rotation.Credential, rotation.Credential) error {
				if f.sets < 3 {
					return fmt.Errorf("policy: %w", rotation.ErrRefused)
				}
				return nil
			}
		}, rotation.Rotated, rotation.ReasonNearExpiry, 3, 1},
		{"refuses every one", func(f *target) { f.set = always(rotation.ErrRefused) }, rotation.Failed, rotation.ReasonCandidateRefused, 3, 1},
		{"cannot ever", func(f *target) { f.set = always(fmt.Errorf("no such user: %w", secret.ErrPermanent)) },
			rotation.Failed, rotation.ReasonTargetFailed, 1, 1},
		{"cannot as it is", func(f *target) { f.set = always(secret.ErrUnsupported) }, rotation.Failed, rotation.ReasonTargetFailed, 1, 1},
		{"says that it cannot, and then knows neither value", func(f *target) {
			f.set = func(context.Context, rotation.Credential, rotation.Credential) error {
				f.password = secret.New("somebody-else-was-there")
				return secret.ErrPermanent
			}
		}, rotation.Continuing, rotation.ReasonBackOff, 1, 0},
		{"out of reach", func(f *target) { f.set = always(errNetwork) }, rotation.Continuing, rotation.ReasonBackOff, 1, 0},
		{"out of reach from the beginning", func(f *target) { f.verify = func(rotation.Credential) error { return errNetwork } },
			rotation.Continuing, rotation.ReasonBackOff, 0, 0},
		{"does not know the current value", func(f *target) { f.password = secret.New("changed-by-hand") },
			rotation.Failed, rotation.ReasonDenied, 0, 1},
		{"took it but the answer was lost", func(f *target) {
			f.set = func(_ context.Context, _, next rotation.Credential) error {
				f.password = next.Secret
				return errNetwork
			}
		}, rotation.Rotated, rotation.ReasonNearExpiry, 1, 1},
		{"took it and then denies it", func(f *target) {
			f.verify = func(c rotation.Credential) error {
				if f.sets > 0 {
					return rotation.ErrDenied
				}
				return nil
			}
		}, rotation.Continuing, rotation.ReasonBackOff, 1, 1},
		{"took it and cannot be asked", func(f *target) {
			f.verify = func(c rotation.Credential) error {
				if f.sets > 0 {
					return errNetwork
				}
				return nil
			}
		}, rotation.Continuing, rotation.ReasonBackOff, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				f := newTarget()
				c.target(f)
				version := r.seed(withTag(secret.TagRotationType, "fake"))
				got, err := r.engine(f.options).Rotate(t.Context(), rotation.Request{Name: name, Version: version})
				if err != nil || got.Verdict != c.verdict || got.Reason != c.reason || f.sets != c.sets {
					t.Errorf("got %+v, %v after %d sets", got, err, f.sets)
				}
				published := r.current(name)
				if changed := published.ID != version; changed != (c.verdict == rotation.Rotated) {
					t.Errorf("published: %v", changed)
				} else if changed && published.Value != f.password.Reveal() {
					t.Error("the target has another password than Key Vault")
				}
				if alerts := r.inbox.all(); len(alerts) != c.alerts {
					t.Errorf("alerts: %+v", alerts)
				}
				if open, err := r.engine(f.options).Pending(t.Context()); err != nil || (len(open) > 0) != (c.verdict != rotation.Rotated) {
					t.Errorf("pending: %+v, %v", open, err)
				}
				r.mustNotLeak(got, err)
			})
		})
	}
}

// TestARotatorThatCannotWork declares rotators that no rotation can use: nothing is touched, and somebody is told.
func TestARotatorThatCannotWork(t *testing.T) {
	for reason, open := range map[string]func(rotation.Deps, struct{}) (rotation.Rotator, error){
		"cannot start": func(rotation.Deps, struct{}) (rotation.Rotator, error) { return nil, errors.New("no driver") },
		"cannot set":   func(rotation.Deps, struct{}) (rotation.Rotator, error) { return verifier{}, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			version := r.seed(withTag(secret.TagRotationType, "fake"))
			e := r.engine(newTarget().options, func(o *rotation.Options) {
				o.Kinds[len(o.Kinds)-1] = rotation.Define("fake", "does not work", open)
			})
			got, err := e.Rotate(t.Context(), rotation.Request{Name: name, Version: version})
			if err != nil || got.Reason != rotation.ReasonTargetFailed || !strings.Contains(got.Text, reason) || len(r.versions(name)) != 1 {
				t.Errorf("%s: got %+v, %v", reason, got, err)
			}
		})
	}
}

type verifier struct{}

func (verifier) Verify(context.Context, rotation.Credential) error { return nil }

func always(err error) func(context.Context, rotation.Credential, rotation.Credential) error {
	return func(context.Context, rotation.Credential, rotation.Credential) error { return err }
}

// TestSomeoneElseWritesMeanwhile lets a person, or the sync, change the secret while the target is at work.
func TestSomeoneElseWritesMeanwhile(t *testing.T) {
	disabled := false
	for _, c := range []struct {
		name    string
		act     func(r *rig, ctx context.Context) error
		verdict rotation.Verdict
		alert   alert.Type
	}{
		{"a new value", func(r *rig, ctx context.Context) error {
			_, err := r.secrets.Set(ctx, name, secret.Draft{Value: secret.New("typed-by-hand"), ContentType: "text/plain"})
			return err
		}, rotation.Conflict, alert.RotationConflict},
		{"the same value again", func(r *rig, ctx context.Context) error {
			_, err := r.secrets.Set(ctx, name, secret.Draft{Value: secret.New(oldValue), Tags: map[string]string{"cost": "42"}})
			return err
		}, rotation.Rotated, alert.RotationSucceeded},
		{"disables it", func(r *rig, ctx context.Context) error {
			_, err := r.secrets.Update(ctx, name, secret.Patch{Enabled: &disabled})
			return err
		}, rotation.Continuing, alert.RotationAppliedNotPublished},
		{"gives it back to Vault", func(r *rig, ctx context.Context) error {
			_, err := r.secrets.Update(ctx, name, secret.Patch{Tags: map[string]string{secret.TagRotationType: "fake", secret.TagAuthority: "vault"}})
			return err
		}, rotation.Conflict, alert.RotationConflict},
		{"deletes it", func(r *rig, ctx context.Context) error { return r.secrets.Delete(ctx, name) }, rotation.Continuing, alert.RotationAppliedNotPublished},
		{"adds a tag", func(r *rig, ctx context.Context) error {
			_, err := r.secrets.Update(ctx, name, secret.Patch{Tags: map[string]string{secret.TagRotationType: "fake", "cost": "42"}})
			return err
		}, rotation.Rotated, alert.RotationSucceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				f := newTarget()
				f.set = func(ctx context.Context, _, _ rotation.Credential) error { return c.act(r, ctx) }
				version := r.seed(withTag(secret.TagRotationType, "fake"))
				got, err := r.engine(f.options).Rotate(t.Context(), rotation.Request{Name: name, Version: version})
				if err != nil || got.Verdict != c.verdict {
					t.Errorf("got %+v, %v", got, err)
				}
				if alerts := r.inbox.all(); len(alerts) != 1 || alerts[0].Type != c.alert {
					t.Errorf("alerts: %+v", alerts)
				}
				if c.verdict == rotation.Rotated {
					if r.current(name).Tags["cost"] != "42" {
						t.Error("the tag that came meanwhile is lost")
					}
					return
				}
				for _, v := range r.versions(name) {
					if v.Value == f.password.Reveal() {
						t.Error("the candidate was published over their change")
					}
				}
			})
		})
	}
}

// TestARotatorCannotLeak has a rotator that puts credentials into its errors, as drivers do.
func TestARotatorCannotLeak(t *testing.T) {
	for _, kind := range []error{errors.New("x"), secret.ErrPermanent, secret.ErrUnsupported} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			var candidate string
			f := newTarget()
			f.set = func(_ context.Context, now, next rotation.Credential) error {
				candidate = next.Secret.Reveal()
				return fmt.Errorf("dial postgres://app:%s@db as %q: %w", url.QueryEscape(candidate), now.Secret.Reveal(), kind)
			}
			got, err := r.engine(f.options, func(o *rotation.Options) {
				o.Kinds[len(o.Kinds)-1] = rotation.Define("fake", "odd values", func(rotation.Deps, struct{}) (rotation.Rotator, error) { return odd{f}, nil })
			}).Rotate(t.Context(), rotation.Request{Name: name, Version: r.seed(withTag(secret.TagRotationType, "fake"))})
			said := fmt.Sprintf("%+v %v %+v", got, err, r.inbox.all())
			for _, form := range []string{oldValue, candidate, url.QueryEscape(candidate)} {
				if strings.Contains(said, form) {
					t.Errorf("%s holds %q", said, form)
				}
			}
			if !strings.Contains(said, "dial postgres") {
				t.Errorf("%s does not say what happened", said)
			}
		})
	}
}

// odd chooses a value that looks different when it is percent encoded.
type odd struct{ *target }

func (odd) Choose(now rotation.Credential, _ io.Reader) (rotation.Credential, error) {
	return rotation.Credential{User: now.User, Secret: secret.New("not a secret: /%&ü")}, nil
}
