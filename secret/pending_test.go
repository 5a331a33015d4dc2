package secret

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPendingName(t *testing.T) {
	long := strings.Repeat("a", MaxName)
	for _, c := range []struct{ name, want string }{
		{"app-key", "keyferry--pending--app-key"},
		{"App-KEY", "keyferry--pending--app-key"},
		{strings.Repeat("b", 108), "keyferry--pending--" + strings.Repeat("b", 108)},
	} {
		if got := PendingName(c.name); got != c.want {
			t.Errorf("PendingName(%q) = %q, want %q", c.name, got, c.want)
		}
	}
	seen := map[string]bool{}
	for _, name := range []string{long, long[1:], long[:120] + "bbbbbbb", strings.Repeat("b", 109)} {
		got := PendingName(name)
		if !ValidName(got) || !Own(got) || !IsPending(got) || seen[got] {
			t.Errorf("%q of a name of %d", got, len(name))
		}
		if PendingName(strings.ToUpper(name)) != got {
			t.Errorf("%q differs by case", name)
		}
		seen[got] = true
	}
	if IsPending(HashKeyName) || IsPending("pending--x") {
		t.Error("other names are taken for staging secrets")
	}
}

func TestPendingTags(t *testing.T) {
	state := RotationState{ID: "id1", From: "v1", At: time.Unix(1000, 0).UTC(), Credential: "k.1"}
	for _, p := range []Pending{
		{For: "app-key", State: state},
		{For: "app-key", State: state, User: "o'brien", WriteBack: true},
		{For: "app-key", State: RotationState{ID: "i", From: "v", At: time.Unix(0, 0).UTC()}, Intent: true},
	} {
		tags, err := p.Tags()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePending(tags)
		if diff := cmp.Diff(p, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	if _, err := (Pending{For: "a", State: state, User: strings.Repeat("u", 257)}).Tags(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a user that no tag can hold: %v", err)
	}
}

func FuzzPendingTags(f *testing.F) {
	f.Add("app-key", "id.v1.10", "user", "", "")
	f.Add("", "", "", "intent", "write-back")
	f.Add("a/b", "id.v1.10.x", "", "x", "y")
	f.Fuzz(func(t *testing.T, name, state, user, step, owes string) {
		p, err := ParsePending(map[string]string{
			tagPendingFor: name, TagRotationState: state, tagPendingUser: user, tagPendingState: step, tagPendingOwes: owes,
		})
		if err == nil && (!ValidName(p.For) || p.State.ID == "" || p.State.From == "") {
			t.Errorf("%+v", p)
		}
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	})
}
