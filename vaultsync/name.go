package vaultsync

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"text/template"

	"github.com/keyferry/keyferry/secret"
)

// ComputeName is the name Key Vault gives a path inside a mount: every character outside [0-9A-Za-z] becomes a
// hyphen, runs collapse, ends are trimmed. What is longer than 127 is cut and ends in a hash of the whole path. It
// is "" when nothing is left.
func ComputeName(path string) string {
	var b strings.Builder
	gap := false
	for _, c := range path {
		plain := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !plain {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteRune(c)
	}
	name := b.String()
	if len(name) > secret.MaxName {
		name = withSuffix(name, path)
	}
	return name
}

// withSuffix ends the name in a hash of the text, stable for ever, within 127 characters.
func withSuffix(name, text string) string {
	sum := sha256.Sum256([]byte(text))
	end := "-" + hex.EncodeToString(sum[:4])
	if room := secret.MaxName - len(end); len(name) > room {
		name = strings.TrimRight(name[:room], "-")
	}
	return name + end
}

// Entry is one secret of the source with the name it has in the destination.
type Entry struct {
	Rule  *Rule
	Mount Mount
	Path  string // inside the mount
	Key   string // the field, with as: key
	Keys  int    // how many fields the secret has, with as: key; 0: not known
	Ref   string // secret.EncodePath: what the tag vault-path says
	Name  string // "" when no name could be given; Fault then says why
	Fault Reason // "", ReasonNameCollision, ReasonNameEmpty
	Rival string // on a collision, the Ref of one other that wants the name
}

// ident tells secrets apart over all sources: two Vaults, or two namespaces of one, may hold the same path.
type ident struct{ source, ref string }

func (e Entry) id() ident { return ident{e.Rule.source(), e.Ref} }

// whole is the id of the secret of which the entry is a field; its own id when it is none.
func (e Entry) whole() ident {
	if e.Key == "" {
		return e.id()
	}
	return ident{e.Rule.source(), secret.EncodePath(e.Mount.Path, e.Path, "")}
}

// suffixed is the entry's name with a suffix that no other path of any source has.
func (e Entry) suffixed() string {
	text := e.Ref
	if source := e.Rule.source(); source != DefaultSource {
		text = source + ":" + text
	}
	return withSuffix(e.Name, text)
}

// Where is the entry's place in Vault as people write it.
func (e Entry) Where() string {
	where := e.Mount.Path + "/" + e.Path
	if e.Key != "" {
		where += "#" + e.Key
	}
	return where
}

// nameAll gives every entry its name. holder tells whose copy holds a name in the destination, the zero ident for none
// of ours.
//
// Names are one for the whole scope, so a name never depends on which part of the scope a run was asked for. Who
// already holds a name keeps it, also a suffixed one; newcomers that want a held or a contested name are refused or
// get a suffix, as their rule says.
func nameAll(entries []Entry, holder func(name string) ident) {
	templates := map[*Rule]*template.Template{}
	for i := range entries {
		e := &entries[i]
		if e.Rule.As == ShapeKey && e.Key == "" {
			continue // without fields it wants no name
		}
		if _, known := templates[e.Rule]; !known {
			templates[e.Rule], _ = parseName(e.Rule.NameAs) // Validate has seen it
		}
		e.Name = e.baseName(templates)
		if e.Fault != "" {
			continue
		}
		if e.Name == "" {
			e.Fault = ReasonNameEmpty
			continue
		}
		if e.Rule.OnCollision != CollisionSuffix {
			continue
		}
		if suffixed := e.suffixed(); holder(suffixed) == e.id() {
			e.Name = suffixed
		}
	}
	contests := contested(entries, holder)
	if len(contests) == 0 {
		return
	}
	for _, rivals := range contests {
		if e := &entries[rivals.loser]; e.Rule.OnCollision == CollisionSuffix {
			e.Name = e.suffixed()
		} else {
			refuse(entries, rivals)
		}
	}
	for _, rivals := range contested(entries, holder) { // a suffixed name may be somebody's plain one
		refuse(entries, rivals)
	}
}

// contest is an entry that cannot have its name, and one that wants it too.
type contest struct{ loser, rival int }

// contested finds the entries that share a name with another and do not hold it.
func contested(entries []Entry, holder func(name string) ident) []contest {
	first := make(map[string]int, len(entries))
	wanted := map[string][]int{} // only what several want
	for i, e := range entries {
		if e.Fault != "" || e.Name == "" {
			continue
		}
		fold := secret.FoldName(e.Name)
		other, taken := first[fold]
		switch {
		case !taken:
			first[fold] = i
		case wanted[fold] == nil:
			wanted[fold] = []int{other, i}
		default:
			wanted[fold] = append(wanted[fold], i)
		}
	}
	var out []contest
	for name, rivals := range wanted {
		held := holder(name)
		for n, i := range rivals {
			if entries[i].id() != held {
				out = append(out, contest{loser: i, rival: rivals[(n+1)%len(rivals)]})
			}
		}
	}
	return out
}

func refuse(entries []Entry, c contest) {
	entries[c.loser].Fault = ReasonNameCollision
	entries[c.loser].Rival = entries[c.rival].Where()
}
