package rotators

import (
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"filippo.io/edwards25519"

	"github.com/keyferry/keyferry/secret"
)

// alternative is one of the ways in which a MariaDB account may prove who it is.
type alternative struct {
	plugin string
	hash   string // what the plugin compares with; may be empty
}

// The plugins by which an account has a password, and whose hashes can be made here.
const (
	nativePassword  = "mysql_native_password"
	ed25519Password = "ed25519"
)

// isPassword reports whether the alternative is a password. Other ones are nobody's business here.
func (a alternative) isPassword() bool {
	return a.plugin == nativePassword || a.plugin == ed25519Password
}

// knows reports whether the password is the one of the alternative.
func (a alternative) knows(password secret.Value) bool {
	return a.isPassword() && password.Len() > 0 && a.hash == hashed(a.plugin, password)
}

// hashed is what the plugin stores for a password (MariaDB: PASSWORD() and ed25519_password()).
func hashed(plugin string, password secret.Value) string {
	if plugin == ed25519Password {
		seed := sha512.Sum512([]byte(password.Reveal()))
		scalar, err := edwards25519.NewScalar().SetBytesWithClamping(seed[:32])
		if err != nil {
			panic("rotators: 32 bytes are no scalar: " + err.Error())
		}
		return base64.RawStdEncoding.EncodeToString(new(edwards25519.Point).ScalarBaseMult(scalar).Bytes())
	}
	once := sha1.Sum([]byte(password.Reveal()))
	twice := sha1.Sum(once[:])
	return "*" + strings.ToUpper(hex.EncodeToString(twice[:]))
}

var errAccount = errors.New("the account is described in a way that is not understood")

// mariadbAccount is what SHOW CREATE USER tells of an account.
type mariadbAccount struct {
	user, host string
	ways       []alternative // none: the password is empty
}

// parseAccount reads what SHOW CREATE USER answers.
func parseAccount(text string) (mariadbAccount, error) {
	p := accountParser{rest: text}
	var a mariadbAccount
	p.expect("CREATE USER ")
	a.user = p.between('`')
	p.expect("@")
	a.host = p.between('`')
	switch {
	case p.err || !p.skip(" IDENTIFIED "):
	case p.skip("BY PASSWORD "):
		a.ways = []alternative{{nativePassword, p.between('\'')}}
	default:
		p.expect("VIA ")
		for first := true; first || p.skip(" OR "); first = false {
			way := alternative{plugin: p.word()}
			if p.skip(" USING") {
				p.expect(" ")
				way.hash = p.between('\'')
			}
			a.ways = append(a.ways, way)
		}
	}
	return a, p.fault()
}

type accountParser struct {
	rest string
	err  bool
}

func (p *accountParser) skip(text string) bool {
	rest, found := strings.CutPrefix(p.rest, text)
	p.rest = rest
	return found
}

func (p *accountParser) expect(text string) { p.err = !p.skip(text) || p.err }

// word takes the name of a plugin.
func (p *accountParser) word() string {
	word := p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "abcdefghijklmnopqrstuvwxyz0123456789_"))]
	p.rest = p.rest[len(word):]
	p.err = p.err || word == ""
	return word
}

// between takes what stands between quotes, which are doubled inside.
func (p *accountParser) between(quote byte) string {
	var b strings.Builder
	if p.rest == "" || p.rest[0] != quote {
		p.err = true
		return ""
	}
	for i := 1; i < len(p.rest); i++ {
		if p.rest[i] == quote {
			if i+1 == len(p.rest) || p.rest[i+1] != quote {
				p.rest = p.rest[i+1:]
				return b.String()
			}
			i++
		}
		b.WriteByte(p.rest[i])
	}
	p.err = true
	return ""
}

// fault says whether the text was understood up to here, and what is left begins another clause.
func (p *accountParser) fault() error {
	if p.err || p.rest != "" && p.rest[0] != ' ' {
		return errAccount
	}
	return nil
}

// name is the account in SQL. CURRENT_USER() would do for most statements, but ALTER USER CURRENT_USER() silently drops
// every alternative but the first (MariaDB 10.11).
func (a mariadbAccount) name() string { return literal(a.user) + "@" + literal(a.host) }

// passwords are the ways that are passwords.
func (a mariadbAccount) passwords() []alternative {
	return slices.DeleteFunc(slices.Clone(a.ways), func(w alternative) bool { return !w.isPassword() })
}

// plugin is the kind of password that the account has.
func (a mariadbAccount) plugin() string {
	if passwords := a.passwords(); len(passwords) > 0 {
		return passwords[0].plugin
	}
	return nativePassword
}

// replaced is the account with one password in place of all it had.
func (a mariadbAccount) replaced(password secret.Value) mariadbAccount {
	one := alternative{a.plugin(), hashed(a.plugin(), password)}
	at := slices.IndexFunc(a.ways, alternative.isPassword)
	a.ways = slices.DeleteFunc(slices.Clone(a.ways), alternative.isPassword)
	a.ways = slices.Insert(a.ways, max(at, 0), one)
	return a
}

// paired is the account with the new password beside the current one, and other passwords gone, as MySQL has it: a
// rotation that was given up leaves one behind. Where nobody knows the current one, the first is.
func (a mariadbAccount) paired(now, next secret.Value) mariadbAccount {
	one, passwords := alternative{nativePassword, hashed(nativePassword, next)}, a.passwords()
	kept := slices.IndexFunc(passwords, func(w alternative) bool { return w.knows(now) })
	if kept < 0 {
		kept = slices.IndexFunc(passwords, func(w alternative) bool { return w.hash != "" && w != one })
	}
	a.ways = slices.DeleteFunc(slices.Clone(a.ways), func(w alternative) bool {
		return w.isPassword() && (kept < 0 || w != passwords[kept] || w == one)
	})
	a.ways = append(a.ways, one)
	return a
}

// without is the account without the ways that are gone.
func (a mariadbAccount) without(gone func(alternative) bool) mariadbAccount {
	a.ways = slices.DeleteFunc(slices.Clone(a.ways), gone)
	return a
}

// statement gives the account its ways to log in, and changes nothing else of it: limits, TLS, lock and expiry stay.
// With hashes the passwords stay here; without, the server gets those that are known, and ok is whether all of them are.
func (a mariadbAccount) statement(hashes bool, known ...secret.Value) (text string, ok bool) {
	var parts []string
	for _, way := range a.ways {
		part := way.plugin
		switch at := slices.IndexFunc(known, way.knows); {
		case !hashes && at >= 0:
			part += " USING PASSWORD(" + literal(known[at].Reveal()) + ")"
		case !hashes && way.isPassword():
			return "", false
		case way.hash != "":
			part += " USING " + literal(way.hash)
		}
		parts = append(parts, part)
	}
	return "ALTER USER " + a.name() + " IDENTIFIED VIA " + strings.Join(parts, " OR "), true
}
