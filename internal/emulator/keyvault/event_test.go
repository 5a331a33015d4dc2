package keyvault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const day = 24 * time.Hour

func TestEventsOfAVersion(t *testing.T) {
	clk := newClock()
	var raised []string
	v := New(Options{Now: clk.Now})
	v.opts.Events = func(e Event) {
		v.Calls() // no lock is held
		raised = append(raised, strings.TrimPrefix(string(e.Type), "Microsoft.KeyVault.Secret")+" "+e.Name+" "+e.Version[:4])
	}
	tick := func(want ...string) {
		t.Helper()
		n := len(raised)
		v.Tick()
		if diff := cmp.Diff(want, raised[n:], cmp.Transformer("nil", func(s []string) string { return fmt.Sprint(s) })); diff != "" {
			t.Error(diff)
		}
	}
	set := func(name string, expires time.Time) string {
		body := fmt.Sprintf(`{"value":"v","attributes":{"exp":%d}}`, expires.Unix())
		return must(t, v, "PUT", "/secrets/"+name, body).version()[:4]
	}

	exp := clk.now.Add(31 * day)
	old := set("a", exp)
	first := set("a", exp)
	if got := fmt.Sprint(raised); got != "[NewVersionCreated a "+old+" NewVersionCreated a "+first+"]" {
		t.Errorf("raised %s", got)
	}
	tick()
	clk.now = exp.Add(-30*day - time.Second)
	tick()
	clk.advance(time.Second)
	tick("NearExpiry a " + first) // the old version is not the current one
	tick()
	must(t, v, "PATCH", "/secrets/a/", `{"tags":{"t":"v"}}`)
	must(t, v, "PATCH", "/secrets/a/", `{"attributes":{"enabled":false}}`)
	clk.now = exp
	tick("Expired a " + first) // disabled or not
	tick()

	soon := set("b", clk.now.Add(day))
	tick("NearExpiry b " + soon) // set within its 30 days
	must(t, v, "DELETE", "/secrets/b", "")
	clk.advance(2 * day)
	tick() // deleted
	must(t, v, "POST", "/deletedsecrets/b/recover", "")
	tick("Expired b " + soon)

	over := set("c", clk.now.Add(-day))
	tick("NearExpiry c "+over, "Expired c "+over)

	must(t, v, "PUT", "/secrets/never", `{"value":"v"}`)
	if err := v.Seed(Secret{Name: "older-than-the-subscription", Versions: []Version{{Value: "v", Expires: clk.now, Quiet: true}}}); err != nil {
		t.Fatal(err)
	}
	clk.advance(1000 * day)
	tick()
}

func TestEventsOnTheWire(t *testing.T) {
	e := Event{
		ID: "00eccf70-95a7-4e7c-8299-2eb17ee9ad64", Type: SecretNearExpiry,
		Time:  time.Date(2026, 7, 25, 1, 8, 33, 103673600, time.UTC),
		Topic: "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1", VaultName: "kv1",
		SecretID: "https://kv1.vault.azure.net/secrets/newsecret/ee059b2bb5bc48398a53b168c6cdcb10", Name: "newsecret",
		Version: "ee059b2bb5bc48398a53b168c6cdcb10", Expires: ptr(int64(1559082102)),
	}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"Event Grid", e.EventGrid(Spelling{}), `{"id":"00eccf70-95a7-4e7c-8299-2eb17ee9ad64","topic":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1","subject":"newsecret","eventType":"Microsoft.KeyVault.SecretNearExpiry","eventTime":"2026-07-25T01:08:33.1036736Z","data":{"Id":"https://kv1.vault.azure.net/secrets/newsecret/ee059b2bb5bc48398a53b168c6cdcb10","VaultName":"kv1","ObjectType":"Secret","ObjectName":"newsecret","Version":"ee059b2bb5bc48398a53b168c6cdcb10","NBF":null,"EXP":1559082102},"dataVersion":"1","metadataVersion":"1"}`},
		{"CloudEvents", e.CloudEvent(Spelling{}), `{"id":"00eccf70-95a7-4e7c-8299-2eb17ee9ad64","source":"/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1","specversion":"1.0","type":"Microsoft.KeyVault.SecretNearExpiry","subject":"newsecret","time":"2026-07-25T01:08:33.1036736Z","data":{"Id":"https://kv1.vault.azure.net/secrets/newsecret/ee059b2bb5bc48398a53b168c6cdcb10","VaultName":"kv1","ObjectType":"Secret","ObjectName":"newsecret","Version":"ee059b2bb5bc48398a53b168c6cdcb10","NBF":null,"EXP":1559082102}}`},
		{"odd spelling", e.data(Spelling{QuotedTimes: true, StraySpaces: true}), `{"Id":"https://kv1.vault.azure.net/secrets/newsecret/ee059b2bb5bc48398a53b168c6cdcb10","VaultName":"kv1","ObjectType":"Secret","ObjectName ":"newsecret","Version":" ee059b2bb5bc48398a53b168c6cdcb10","NBF":null,"EXP":"1559082102"}`},
		{"camel case", e.data(Spelling{CamelCase: true}), `{"id":"https://kv1.vault.azure.net/secrets/newsecret/ee059b2bb5bc48398a53b168c6cdcb10","vaultName":"kv1","objectType":"Secret","objectName":"newsecret","version":"ee059b2bb5bc48398a53b168c6cdcb10","nbf":null,"exp":1559082102}`},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, tt.got, tt.want)
		}
		if !json.Valid(tt.got) {
			t.Errorf("%s: not JSON", tt.name)
		}
	}
}

func TestEventIDs(t *testing.T) {
	clk := newClock()
	var events []Event
	v := New(Options{Now: clk.Now, Events: func(e Event) { events = append(events, e) }})
	must(t, v, "PUT", "/secrets/a", fmt.Sprintf(`{"value":"v","attributes":{"exp":%d}}`, clk.now.Unix()))
	v.Tick()
	seen := map[string]bool{}
	for _, e := range events {
		if len(e.ID) != 36 || seen[e.ID] {
			t.Errorf("id %q", e.ID)
		}
		seen[e.ID] = true
		if e.SecretID != "https://kv1.vault.azure.net/secrets/a/"+e.Version {
			t.Errorf("secret id %s", e.SecretID)
		}
	}
	if len(events) != 3 {
		t.Errorf("%d events", len(events))
	}
}
