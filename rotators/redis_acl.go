package rotators

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// redisParams says which Redis holds a user, and how what was set lasts.
type redisParams struct {
	Host       string   `json:"host" doc:"name or address of the server; users are not replicated, so it is one node"`
	Port       int      `json:"port" default:"6379" doc:"often 6380 or 10000 with TLS"`
	TLS        string   `json:"tls" default:"verify" doc:"verify: TLS with a certificate for host; off: none"`
	CA         string   `json:"ca" doc:"certificates in PEM form to trust instead of the system's"`
	Persist    string   `json:"persist" default:"auto" doc:"how users outlast a restart: acl-save, config-rewrite, auto (the one that fits, asked by CONFIG GET), none (someone else sees to it)"`
	Length     int      `json:"length" default:"32" doc:"characters of a password, 16 to 512"`
	Classes    []string `json:"classes" doc:"the classes in use, each at least once: lower, upper, digit, symbol (- _ . ~); all when not given"`
	Characters string   `json:"characters" doc:"the characters in use, instead of classes: printable ASCII, each listed once"`
}

// The values of persist.
const (
	persistAuto    = "auto"
	persistSave    = "acl-save"
	persistRewrite = "config-rewrite"
	persistNone    = "none"
)

// Validate reports every fault at once.
func (p redisParams) Validate() error {
	_, err := newEndpoint(p.Host, p.Port, p.TLS, p.CA, nil)
	faults := []error{err, generatedParams{p.Length, p.Classes, p.Characters}.Validate()}
	if !slices.Contains([]string{persistAuto, persistSave, persistRewrite, persistNone}, p.Persist) {
		faults = append(faults, fmt.Errorf("parameter persist: %q is none of auto, acl-save, config-rewrite, none", p.Persist))
	}
	return errors.Join(faults...)
}

func redisACLKind() rotation.Kind {
	return rotation.Define("redis-acl", "the password of an ACL user of Redis 6 or later; old and new work side by side until the old one is retired",
		func(deps rotation.Deps, p redisParams) (rotation.Rotator, error) {
			e, err := newEndpoint(p.Host, p.Port, p.TLS, p.CA, deps.Dial)
			if err != nil {
				return nil, err
			}
			server := redis{e, p.Persist}
			a := account{server, deps.Admin, generatedParams{p.Length, p.Classes, p.Characters}.policy()}
			return redisACL{paired{a, server}, server}, nil
		})
}

// redisACL rotates a password of a user that may have several.
type redisACL struct {
	paired
	server redis
}

var (
	_ rotation.Setter  = redisACL{}
	_ rotation.Retirer = redisACL{}
	_ rotation.Settler = redisACL{}
)

// Settle makes the server write its users to a file.
func (r redisACL) Settle(ctx context.Context, now rotation.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	login := r.login(now)
	if err := loginFault(login); err != nil {
		return fmt.Errorf("save the users: %w", err)
	}
	if err := r.server.save(ctx, login); err != nil {
		return fmt.Errorf("save the users as %q: %w", login.User, err)
	}
	return nil
}

// redis is a Redis server, 6 or later. It gets hashes of passwords, but for those that log in.
type redis struct {
	endpoint
	persist string
}

// redisAnswers are the errors that tell something.
var redisAnswers = map[redisError]answer{
	"WRONGPASS": {rotation.ErrDenied, "wrong password, or the user is off"},
	"NOPERM":    {secret.ErrPermanent, "insufficient permissions"},
	"NOAUTH":    {secret.ErrPermanent, "log in first"},
	"LOADING":   {nil, "not ready"},
	"ERR":       {nil, "it failed"},
}

func (r redis) verify(ctx context.Context, c rotation.Credential) error {
	return r.session(ctx, c, func(*redisConn) error { return nil })
}

// add looks at the user first: ACL SETUSER would make one of any name, and a password means nothing to a user who may
// do without.
func (r redis) add(ctx context.Context, login, _, next rotation.Credential) error {
	return r.session(ctx, login, func(conn *redisConn) error {
		user, err := r.user(ctx, conn, next.User)
		switch {
		case err != nil:
			return err
		case !user.there:
			return fmt.Errorf("%w: no such user", secret.ErrPermanent)
		case slices.Contains(user.flags, "nopass"):
			return fmt.Errorf("%w: the user needs no password", secret.ErrPermanent)
		case slices.Contains(user.flags, "off"):
			return fmt.Errorf("%w: the user is off", secret.ErrPermanent)
		}
		_, err = r.do(ctx, conn, "ACL", "SETUSER", next.User, "#"+sha256Hex(next.Secret))
		return err
	})
}

// drop takes away the password of old, or when nobody knows it the only one beside that of now.
func (r redis) drop(ctx context.Context, login, old, now rotation.Credential) error {
	return r.session(ctx, login, func(conn *redisConn) error {
		user, err := r.user(ctx, conn, now.User)
		if err != nil || !user.there {
			return err
		}
		current := sha256Hex(now.Secret)
		gone := slices.DeleteFunc(slices.Clone(user.passwords), func(hash string) bool {
			return hash == current || !old.Secret.IsZero() && hash != sha256Hex(old.Secret)
		})
		switch {
		case len(gone) == 0:
			return nil
		case len(gone) > 1:
			return fmt.Errorf("%w: which of %d passwords is the old one is not known", secret.ErrPermanent, len(gone))
		case !user.has(current):
			return fmt.Errorf("%w: the user does not have the current password", secret.ErrPermanent)
		}
		_, err = r.do(ctx, conn, "ACL", "SETUSER", now.User, "!"+gone[0])
		return err
	})
}

// save writes the users to the ACL file or to the configuration. Where there is an ACL file the configuration does not
// hold them, and rewriting it would save nothing.
func (r redis) save(ctx context.Context, login rotation.Credential) error {
	if r.persist == persistNone {
		return nil
	}
	return r.session(ctx, login, func(conn *redisConn) error {
		how := r.persist
		if how == persistAuto {
			file, err := r.do(ctx, conn, "CONFIG", "GET", "aclfile")
			if err != nil {
				return err
			}
			if how = persistRewrite; len(file.list) == 2 && file.list[1].text != "" {
				how = persistSave
			}
		}
		command := []string{"CONFIG", "REWRITE"}
		if how == persistSave {
			command = []string{"ACL", "SAVE"}
		}
		_, err := r.do(ctx, conn, command...)
		return err
	})
}

// redisUser is what ACL GETUSER tells.
type redisUser struct {
	there     bool
	flags     []string
	passwords []string // SHA-256 in hex
}

func (u redisUser) has(hash string) bool { return slices.Contains(u.passwords, hash) }

func (r redis) user(ctx context.Context, conn *redisConn, name string) (redisUser, error) {
	answer, err := r.do(ctx, conn, "ACL", "GETUSER", name)
	if err != nil || answer.none {
		return redisUser{}, err
	}
	u := redisUser{there: true}
	for pair := range slices.Chunk(answer.list, 2) {
		if len(pair) < 2 {
			return redisUser{}, r.fault(errReply)
		}
		switch pair[0].text {
		case "flags":
			u.flags = texts(pair[1].list)
		case "passwords":
			u.passwords = texts(pair[1].list)
		}
	}
	if len(u.flags) == 0 {
		return redisUser{}, r.fault(errReply)
	}
	return u, nil
}

func texts(list []reply) []string {
	var all []string
	for _, one := range list {
		all = append(all, one.text)
	}
	return all
}

// session logs in and calls do.
func (r redis) session(ctx context.Context, c rotation.Credential, do func(*redisConn) error) error {
	raw, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := &redisConn{raw, bufio.NewReader(raw)}
	if _, err := r.do(ctx, conn, "AUTH", c.User, c.Secret.Reveal()); err != nil {
		return err
	}
	return do(conn)
}

func (r redis) do(ctx context.Context, conn *redisConn, command ...string) (reply, error) {
	answer, err := conn.do(ctx, command...)
	return answer, r.fault(err)
}

func (r redis) fault(err error) error {
	var theirs redisError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &theirs):
		return r.endpoint.fault(err)
	}
	return redisAnswers[theirs].fault(string(theirs))
}

func sha256Hex(password secret.Value) string {
	sum := sha256.Sum256([]byte(password.Reveal()))
	return hex.EncodeToString(sum[:])
}
