package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// DestinationSubject is a destination under test. It may hold other secrets and be written to by others: the suite
// looks only at names that begin with Prefix, which must be new, and deletes them when it is done.
type DestinationSubject struct {
	Destination vaultsync.Destination
	Prefix      string
	// Delete soft-deletes a secret; nil when there is none.
	Delete func(ctx context.Context, name string) error
}

// Destination checks that a destination keeps versions the way the sync and the rotation count on.
func Destination(t *testing.T, open func(t *testing.T) DestinationSubject) {
	for _, rule := range []struct {
		name  string
		check func(DestinationSubject, *testing.T)
	}{
		{"what is not there is not found", DestinationSubject.absent},
		{"a value comes back byte for byte", DestinationSubject.values},
		{"each set makes a version of its own, and the last one is current", DestinationSubject.versions},
		{"an update changes what it names and makes no version", DestinationSubject.update},
		{"a disabled version is listed, not read, and can be succeeded", DestinationSubject.disabled},
		{"names ignore case", DestinationSubject.names},
		{"a listing over several pages holds every secret once", DestinationSubject.listing},
		{"a deleted secret keeps its name", DestinationSubject.deleted},
		{"what is too much is refused", DestinationSubject.limits},
		{"an ended context stops every call", DestinationSubject.endedContext},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(open(t), t) })
	}
}

func (s DestinationSubject) absent(t *testing.T) {
	name := s.Prefix + "nothing"
	_, _, err := s.Destination.Get(t.Context(), name)
	s.wantErr(t, err, secret.ErrNotFound)
	_, err = s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Tags: map[string]string{"a": "b"}})
	s.wantErr(t, err, secret.ErrNotFound)
	if all, err := s.Destination.Versions(t.Context(), name); err != nil || len(all) != 0 {
		t.Errorf("versions of nothing: %v, %v", all, err)
	}
}

func (s DestinationSubject) values(t *testing.T) {
	for i, text := range []string{
		"x", " spaces at the ends ", "lines\r\nand\ttabs\n", `{"a":"<b>&\u2028","n":1e2}`, "ä€😀", "\u2028\u2029<>&",
		strings.Repeat("x", secret.MaxValue),
	} {
		name := fmt.Sprint(s.Prefix, "value-", i)
		d := destinationDraft(text)
		set := s.set(t, name, d)
		got, meta, err := s.Destination.Get(t.Context(), name)
		s.wantErr(t, err, nil)
		if !got.Equal(d.Value) {
			t.Errorf("value %d came back as another one, of %d bytes for %d", i, got.Len(), d.Value.Len())
		}
		if diff := cmp.Diff(set, meta); diff != "" {
			t.Errorf("get differs from set (-set +get):\n%s", diff)
		}
		if set.Name != name || !set.Enabled || set.Managed || set.Version == "" || set.Created.IsZero() ||
			set.ContentType != d.ContentType || !set.Expires.Equal(d.Expires) || !cmp.Equal(set.Tags, d.Tags) {
			t.Errorf("%+v is not what was set", set)
		}
	}
}

func (s DestinationSubject) versions(t *testing.T) {
	name := s.Prefix + "versions"
	want := []secret.Meta{
		s.set(t, name, destinationDraft("one")),
		s.set(t, name, secret.Draft{Value: secret.New("two")}), // nothing is taken over from the version before
		s.set(t, name, destinationDraft("one")),                // an equal value is a new version too
	}
	if m := want[1]; m.ContentType != "" || !m.Expires.IsZero() || len(m.Tags) != 0 {
		t.Errorf("%+v has what was not set", m)
	}
	_, current, err := s.Destination.Get(t.Context(), name)
	s.wantErr(t, err, nil)
	if current.Version != want[2].Version {
		t.Errorf("the current version is %q, want the last one, %q", current.Version, want[2].Version)
	}
	all, err := s.Destination.Versions(t.Context(), name)
	s.wantErr(t, err, nil)
	inAnyOrder := cmpopts.SortSlices(func(a, b secret.Meta) bool { return a.Version < b.Version })
	if diff := cmp.Diff(want, all, inAnyOrder); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func (s DestinationSubject) update(t *testing.T) {
	name := s.Prefix + "update"
	before := s.set(t, name, destinationDraft("v"))
	exp := before.Expires.Add(24 * time.Hour)
	kind := "application/json"
	tags := map[string]string{"only": "this"}
	got, err := s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Expires: &exp, ContentType: &kind, Tags: tags})
	s.wantErr(t, err, nil)
	want := before
	want.Expires, want.ContentType, want.Tags = exp, kind, tags
	ignoreUpdated := cmpopts.IgnoreFields(secret.Meta{}, "Updated")
	if diff := cmp.Diff(want, got, ignoreUpdated); diff != "" {
		t.Errorf("after all fields (-want +got):\n%s", diff)
	}
	tags = map[string]string{"only": "that"}
	_, err = s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Tags: tags})
	s.wantErr(t, err, nil)
	want.Tags = tags
	value, got, err := s.Destination.Get(t.Context(), name)
	s.wantErr(t, err, nil)
	if diff := cmp.Diff(want, got, ignoreUpdated); diff != "" || !value.Equal(secret.New("v")) {
		t.Errorf("after the tags alone, read again (-want +got):\n%s", diff)
	}
	_, err = s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{})
	s.wantErr(t, err, secret.ErrInvalid)
}

func (s DestinationSubject) disabled(t *testing.T) {
	name := s.Prefix + "disabled"
	first := s.set(t, name, destinationDraft("one"))
	on, off := true, false
	_, err := s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Enabled: &off})
	s.wantErr(t, err, nil)
	_, _, err = s.Destination.Get(t.Context(), name)
	s.wantErr(t, err, secret.ErrDisabled)
	if m, ok := s.list(t)[name]; !ok || m.Enabled || !cmp.Equal(m.Tags, first.Tags) {
		t.Errorf("listed as %+v, want disabled and with its tags", m)
	}
	m, err := s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Enabled: &on})
	s.wantErr(t, err, nil)
	if !m.Enabled || m.Version != first.Version {
		t.Errorf("%+v, want the same version, enabled", m)
	}
	_, err = s.Destination.UpdateVersion(t.Context(), name, "", secret.Patch{Enabled: &off})
	s.wantErr(t, err, nil)
	second := s.set(t, name, destinationDraft("two"))
	all, err := s.Destination.Versions(t.Context(), name)
	s.wantErr(t, err, nil)
	for _, m := range all {
		if m.Enabled != (m.Version == second.Version) {
			t.Errorf("version %q is enabled: %v", m.Version, m.Enabled)
		}
	}
}

func (s DestinationSubject) names(t *testing.T) {
	s.set(t, s.Prefix+"Name", destinationDraft("one"))
	m := s.set(t, s.Prefix+"nAME", destinationDraft("two"))
	v, got, err := s.Destination.Get(t.Context(), s.Prefix+"NAME")
	s.wantErr(t, err, nil)
	if !v.Equal(secret.New("two")) || got.Version != m.Version || !secret.SameName(got.Name, s.Prefix+"name") {
		t.Errorf("another spelling is another secret: %+v", got)
	}
	found := 0
	for name := range s.list(t) {
		if secret.SameName(name, s.Prefix+"name") {
			found++
		}
	}
	if found != 1 {
		t.Errorf("listed %d times, want once", found)
	}
}

func (s DestinationSubject) listing(t *testing.T) {
	const n = 60 // three pages
	var wg sync.WaitGroup
	want := map[string]secret.Meta{}
	var mu sync.Mutex
	for i := range n {
		wg.Go(func() {
			m := s.set(t, fmt.Sprintf("%slist-%02d", s.Prefix, i), destinationDraft("v"))
			m.Version = "" // a listing names none
			mu.Lock()
			defer mu.Unlock()
			want[m.Name] = m
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, s.list(t)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func (s DestinationSubject) deleted(t *testing.T) {
	name := s.Prefix + "deleted"
	s.set(t, name, destinationDraft("one"))
	s.wantErr(t, s.Delete(t.Context(), name), nil)
	s.wantErr(t, s.Delete(t.Context(), name), nil)
	_, _, err := s.Destination.Get(t.Context(), name)
	s.wantErr(t, err, secret.ErrNotFound)
	if _, listed := s.list(t)[name]; listed {
		t.Error("a deleted secret is listed")
	}
	_, err = s.Destination.Set(t.Context(), name, destinationDraft("two"))
	s.wantErr(t, err, secret.ErrDeleted)
}

func (s DestinationSubject) limits(t *testing.T) {
	name := s.Prefix + "limits"
	_, err := s.Destination.Set(t.Context(), name, secret.Draft{Value: secret.New(strings.Repeat("x", secret.MaxValue+1))})
	s.wantErr(t, err, secret.ErrTooLarge)
	for what, d := range map[string]secret.Draft{
		"no value":     {},
		"empty value":  {Value: secret.New("")},
		"not text":     {Value: secret.New("\xff")},
		"content type": {Value: secret.New("v"), ContentType: strings.Repeat("x", secret.MaxContentType+1)},
		"tag":          {Value: secret.New("v"), Tags: map[string]string{"a": strings.Repeat("x", 513)}},
	} {
		if _, err := s.Destination.Set(t.Context(), name, d); !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", what, err)
		}
	}
	_, err = s.Destination.Set(t.Context(), "not/a/name", destinationDraft("v"))
	s.wantErr(t, err, secret.ErrInvalid)
	if all, err := s.Destination.Versions(t.Context(), name); err != nil || len(all) != 0 {
		t.Errorf("%v, %v: something was written", all, err)
	}
}

func (s DestinationSubject) endedContext(t *testing.T) {
	name := s.Prefix + "ended"
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(secret.ErrLeaseLost)
	_, err := s.Destination.Set(ctx, name, destinationDraft("v"))
	s.wantErr(t, err, secret.ErrLeaseLost)
	_, err = s.Destination.UpdateVersion(ctx, name, "", secret.Patch{Tags: map[string]string{"a": "b"}})
	s.wantErr(t, err, secret.ErrLeaseLost)
	_, _, err = s.Destination.Get(ctx, name)
	s.wantErr(t, err, secret.ErrLeaseLost)
	_, err = s.Destination.Versions(ctx, name)
	s.wantErr(t, err, secret.ErrLeaseLost)
	for _, err = range s.Destination.List(ctx) {
		s.wantErr(t, err, secret.ErrLeaseLost)
	}
	if all, err := s.Destination.Versions(t.Context(), name); err != nil || len(all) != 0 {
		t.Errorf("%v, %v: something was written", all, err)
	}
}

// destinationDraft has something in every field.
func destinationDraft(value string) secret.Draft {
	return secret.Draft{
		Value:       secret.New(value),
		ContentType: "text/plain",
		Expires:     time.Now().Add(365 * 24 * time.Hour).Truncate(time.Second).UTC(),
		Tags:        map[string]string{"vault-path": "secret/a b/ä%23", "long": strings.Repeat("x", secret.MaxTagValue)},
	}
}

// set writes a version that is deleted when the test ends.
func (s DestinationSubject) set(t *testing.T, name string, d secret.Draft) secret.Meta {
	t.Helper()
	m, err := s.Destination.Set(t.Context(), name, d)
	s.wantErr(t, err, nil)
	t.Cleanup(func() {
		if err := s.Delete(context.WithoutCancel(t.Context()), name); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return m
}

// list returns the suite's own secrets by name.
func (s DestinationSubject) list(t *testing.T) map[string]secret.Meta {
	t.Helper()
	found := map[string]secret.Meta{}
	for m, err := range s.Destination.List(t.Context()) {
		s.wantErr(t, err, nil)
		if !strings.HasPrefix(secret.FoldName(m.Name), secret.FoldName(s.Prefix)) {
			continue
		}
		if _, twice := found[m.Name]; twice {
			t.Errorf("%q is listed twice", m.Name)
		}
		found[m.Name] = m
	}
	return found
}

// wantErr reports an error that is not the wanted one. It may be called on any goroutine.
func (DestinationSubject) wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("got error %v, want %v", err, want)
	}
}
