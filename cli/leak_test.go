package cli

import (
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/alert"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

// TestNoLeak drives every trigger, every command and every failure with values it knows, and looks for them and for
// their encoded forms in everything that leaves: both streams, HTTP answers, logs, records, names, tags and content
// types, alerts, reports, request lines.
func TestNoLeak(t *testing.T) {
	t.Run("failures", func(t *testing.T) {
		nothingPrinted(t)
		playAll(t, slices.Concat(hostileBytes(), idleEvents(), rotationsUnderTrouble(), owedAlerts(), heldLeases(),
			unreadableConfiguration(), syncsUnderTrouble()), (*rig).keptSilent)
	})
	t.Run("commands", commandsKeepSilent)
	t.Run("a planted value is found", func(t *testing.T) {
		t.Run("in every form", foundInEveryForm)
		playAll(t, plantedEverywhere())
	})
}

// nothingPrinted fails the test when anything is written to the streams of this process until its end. The rigs log
// elsewhere, so whatever comes here went past the log.
func nothingPrinted(t *testing.T) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "printed"))
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, logged := os.Stdout, os.Stderr, log.Writer()
	os.Stdout, os.Stderr = f, f
	log.SetOutput(f)
	t.Cleanup(func() {
		os.Stdout, os.Stderr = stdout, stderr
		log.SetOutput(logged)
		_ = f.Close() // it is read again below
		if text, err := os.ReadFile(f.Name()); err != nil || len(text) > 0 {
			t.Errorf("%d bytes were printed past the log, %v: %.2000s", len(text), err, text)
		}
	})
}

// keptSilent looks for every value of the rig in everything that left it.
func (r *rig) keptSilent() {
	r.t.Helper()
	for _, l := range leaks(r.values(), r.outputs()) {
		r.t.Errorf("a value got out: %s", l)
	}
}

// values is every secret of the rig, those that were made while it ran among them.
func (r *rig) values() []string {
	values := []string{r.held.roleProof, r.held.bearer, r.held.topicKey, r.held.hookToken, r.held.functionKey}
	values = append(values, r.held.values...)
	values = append(values, r.hashi.credentials()...)
	return append(values, stored(r.keyVault)...)
}

// stored is every value in a Key Vault: what was there, copies, rotated values, the hash key.
func stored(v *keyvault.Vault) (values []string) {
	for _, s := range v.Secrets() {
		for _, v := range s.Versions {
			values = append(values, v.Value)
		}
	}
	return values
}

// outputs is everything that left the rig.
func (r *rig) outputs() []leaving {
	out := lines("the log", r.logged.lines())
	out = append(out, lines("an answer", r.answers)...)
	out = append(out, lines("the webhook's body", r.hooked.lines())...)
	out = append(out, lines("a request to Azure", r.azure.lines())...)
	out = append(out, lines("a request to Vault", r.hashi.lines())...)
	for _, e := range r.topic.Events() {
		out = append(out, leaving{"an alert on the topic", string(e.Raw)})
	}
	keys, err := r.store.List(r.t.Context(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, k := range keys {
		record, err := r.store.Get(r.t.Context(), k)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, leaving{"a record", k + " " + string(record.Data)})
	}
	return append(out, labels(r.keyVault)...)
}

// labels is what everyone with list permission reads of a Key Vault.
func labels(v *keyvault.Vault) (out []leaving) {
	for _, s := range v.Secrets() {
		for _, v := range s.Versions {
			out = append(out, leaving{"a name, content type or tag of " + s.Name, fmt.Sprint(s.Name, " ", v.ContentType, " ", v.Tags)})
		}
	}
	return out
}

func lines(place string, texts []string) (out []leaving) {
	for _, text := range texts {
		out = append(out, leaving{place, text})
	}
	return out
}

// foundInEveryForm proves the scanner: a value printed in any form is found, and an innocent text is not.
func foundInEveryForm(t *testing.T) {
	value := awkward()
	for form, text := range spelled(value) {
		planted := leaving{"the log", `{"level":"INFO","msg":"set secret","value":"` + text + `"}`}
		if len(leaks([]string{value}, []leaving{planted})) == 0 {
			t.Errorf("%s is not found", form)
		}
	}
	if found := leaks([]string{value}, []leaving{{"the log", awkward()}}); len(found) > 0 {
		t.Errorf("found in a text without it: %v", found)
	}
}

// plantedEverywhere proves that each place is looked at: after a run that kept silent a value is put there.
func plantedEverywhere() (scenes []scene) {
	for _, p := range []struct {
		place string
		plant func(r *rig, value string) error
	}{
		{"the log", func(r *rig, value string) error { r.functions.log.Info("set", "value", value); return nil }},
		{"an answer", func(r *rig, value string) error { r.note(200, []byte(value)); return nil }},
		{"an alert on the topic", tellAll},
		{"the webhook's body", tellAll},
		{"a record", func(r *rig, value string) error {
			_, err := r.store.Put(r.t.Context(), "rotation/session-key", []byte(value), "")
			return err
		}},
		{"a name, content type or tag", func(r *rig, value string) error {
			return r.keyVault.Seed(keyvault.Secret{Name: "tagged", Versions: []keyvault.Version{{Tags: map[string]string{"note": value}}}})
		}},
		{"a request to Vault", func(r *rig, value string) error { return ask(r.hashi, vaultHostPort, value) }},
		{"a request to Azure", func(r *rig, value string) error { return ask(r.azure, keyVaultHost, value) }},
	} {
		scenes = append(scenes, scene{p.place, func(r *rig) {
			r.seedKeyVault(aged("session-key", generated()))
			r.answers200("sync", r.tick())
			r.answers200("event", r.deliver("SecretNearExpiry", r.near("session-key")))
			r.keptSilent()
			s, _ := r.keyVault.Secret("session-key")
			if err := p.plant(r, s.CurrentVersion().Value); err != nil {
				r.t.Fatal(err)
			}
			if found := leaks(r.values(), r.outputs()); !slices.ContainsFunc(found, func(l string) bool { return strings.Contains(l, p.place) }) {
				r.t.Errorf("a rotated value planted in %s is not found there, but %v", p.place, found)
			}
		}})
	}
	return scenes
}

// tellAll raises an alert with the value in its text.
func tellAll(r *rig, value string) error {
	s, err := r.functions.system(r.t.Context())
	if err != nil {
		return err
	}
	return s.alerts.Send(r.t.Context(), alert.Alert{
		Type: alert.RotationSucceeded, Subject: "session-key", Time: time.Now(), Dedup: "planted", Text: "the new value is " + value,
	})
}

// ask makes a request with the value in its query.
func ask(r *road, host, value string) error {
	req, err := http.NewRequest(http.MethodGet, "https://"+host+"/?v="+url.QueryEscape(value), nil)
	if err != nil {
		return err
	}
	_, err = r.RoundTrip(req)
	return err
}
