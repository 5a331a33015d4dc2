package cli_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/keyferry/keyferry/handler"
	"github.com/keyferry/keyferry/internal/emulator/keyvault"
)

// port hands over a port as the Functions host would: port free, or port taken by somebody else.
func (p *play) port(_ bool, args []string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, p.env[handler.PortSetting], err = net.SplitHostPort(l.Addr().String()); err != nil {
		return err
	}
	if len(args) == 1 && args[0] == "free" {
		return l.Close()
	}
	p.t.Cleanup(func() { _ = l.Close() })
	return nil
}

// forgotten is when nothing was left in the folder for temporary files.
func (p *play) forgotten(bool, []string) error {
	left, err := os.ReadDir(p.env["TMPDIR"])
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s was left", left[0].Name())
	}
	return err
}

// vaultDo is what people and mishaps do at Vault.
func (p *play) vaultDo(_ bool, args []string) error {
	switch {
	case len(args) > 3 && args[0] == "put": // vault put MOUNT PATH KEY=VALUE...
		fields := map[string]any{}
		for _, a := range args[3:] {
			name, value, _ := strings.Cut(a, "=")
			fields[name] = value
		}
		return p.vault.Put(args[1], args[2], fields)
	case len(args) == 1 && args[0] == "seal":
		p.vault.Seal(true)
		return nil
	case len(args) > 1 && args[0] == "forbid": // vault forbid PATH...: the token may read everything else
		rules := map[string][]string{"*": {"read", "list"}}
		for _, path := range args[1:] {
			rules[path] = []string{"deny"}
		}
		p.vault.Policy("narrow", rules)
		p.env["VAULT_TOKEN"] = p.vault.Token(time.Hour, "narrow")
		return nil
	case len(args) == 1 && args[0] == "unwritten": // every call since the script began was a read
		for call := range p.vault.Calls() {
			if method, _, _ := strings.Cut(call, " "); method != "GET" && method != "LIST" {
				return fmt.Errorf("Vault got %s", call)
			}
		}
		return nil
	}
	return errors.New("want: vault put, seal, forbid or unwritten")
}

// keyVaultDo is what people do at Key Vault, and what they see there.
func (p *play) keyVaultDo(_ bool, args []string) error {
	if len(args) < 2 {
		return errors.New("want: keyvault seed, value, versions or tag, and a name")
	}
	s, there := p.keyVault.Secret(args[1])
	var got string
	switch args[0] {
	case "seed": // keyvault seed NAME VALUE
		return p.keyVault.Seed(keyvault.Secret{Name: args[1], Versions: []keyvault.Version{{Value: args[2]}}})
	case "value": // keyvault value NAME VALUE
		got = s.CurrentVersion().Value
	case "versions": // keyvault versions NAME N
		got = strconv.Itoa(len(s.Versions))
	case "tag": // keyvault tag NAME VALUE TAG
		got = s.CurrentVersion().Tags[args[3]]
	}
	if want := args[2]; got != want {
		return fmt.Errorf("it is %q (there: %v)", got, there)
	}
	return nil
}

// json is: json PATH VALUE, where PATH leads into the object on stdout, as in counts.create or items.0.verb.
func (p *play) json(_ bool, args []string) error {
	var at any
	d := json.NewDecoder(strings.NewReader(p.stdout))
	d.UseNumber()
	if err := d.Decode(&at); err != nil {
		return err
	}
	for _, step := range strings.Split(args[0], ".") {
		switch here := at.(type) {
		case map[string]any:
			at = here[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(here) {
				return fmt.Errorf("no element %s", step)
			}
			at = here[i]
		default:
			return fmt.Errorf("nothing at %s", step)
		}
	}
	if got := fmt.Sprint(at); got != strings.Join(args[1:], " ") {
		return fmt.Errorf("it is %s", cmp.Or(got, "empty"))
	}
	return nil
}
