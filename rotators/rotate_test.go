package rotators

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// TestRotation plays what the engine does, twice in a row, on every kind of account.
func TestRotation(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			s, now := s.account(t, "plain")
			r := s.open(t)
			for range 2 {
				next := s.next(t, r, now, "")
				rotate(t, r, now, next)
				now = next
			}
		})
	}
}

// TestRotationOfHostileNamesAndPasswords holds every character that means something to a server, a driver, a shell or a
// format string.
func TestRotationOfHostileNamesAndPasswords(t *testing.T) {
	texts := []string{
		`o'brien "x"`, "back\\slash`tick\\'", `semi;colon--/*$HOME ${x}`, `%s%27%00%n`, `[brackets]] {}`, "Zoë-Ünïcødé-日本", `a@b:c/d?e#f`, `  two  spaces `,
	}
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			for i, text := range texts {
				user := strings.Map(func(r rune) rune {
					if strings.ContainsRune(s.forbidden, r) {
						return '_'
					}
					return r
				}, text)
				s, now := s.account(t, user)
				r := s.open(t)
				rotate(t, r, now, s.next(t, r, now, texts[len(texts)-1-i]))
			}
		})
	}
}

// rotate is one rotation, with an answer lost and asked for again.
func rotate(t *testing.T, r rotation.Setter, now, next rotation.Credential) {
	t.Helper()
	_, overlaps := r.(rotation.Retirer)
	verifies(t, r, now)
	denied(t, r, next)
	sets(t, nil, r, now, next)
	verifies(t, r, next)
	if !overlaps {
		denied(t, r, now)
		return
	}
	verifies(t, r, now)
	sets(t, nil, r, now, next)
	verifies(t, r, now)
	verifies(t, r, next)
	settles(t, r, now)
	retires(t, nil, r, now, next)
	denied(t, r, now)
	retires(t, nil, r, now, next)
	verifies(t, r, next)
	settles(t, r, next)
}

func settles(t *testing.T, r rotation.Setter, now rotation.Credential) {
	t.Helper()
	if settler, ok := r.(rotation.Settler); ok {
		try(t, nil, func(ctx context.Context) error { return settler.Settle(ctx, now) }, now)
	}
}

// TestRetireOfUnknownPassword is for a version that Key Vault does not give any more.
func TestRetireOfUnknownPassword(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			s, now := s.account(t, "u")
			r := s.open(t)
			if _, overlaps := r.(rotation.Retirer); !overlaps {
				t.Skip("no overlap")
			}
			next := s.next(t, r, now, "next")
			sets(t, nil, r, now, next)
			retires(t, nil, r, rotation.Credential{User: now.User}, next)
			denied(t, r, now)
			verifies(t, r, next)
			retires(t, nil, r, rotation.Credential{User: now.User}, next)
			verifies(t, r, next)
		})
	}
}

// TestRetireSparesTheCurrentPassword even when the order is nonsense.
func TestRetireSparesTheCurrentPassword(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			s, now := s.account(t, "u")
			r := s.open(t)
			retirer, overlaps := r.(rotation.Retirer)
			if !overlaps {
				t.Skip("no overlap")
			}
			_ = retirer.Retire(t.Context(), now, now)
			verifies(t, r, now)
			wrong := rotation.Credential{User: now.User, Secret: s.password("wrong")}
			if !s.alternate {
				_ = retirer.Retire(t.Context(), now, wrong)
				verifies(t, r, now)
			}
			retires(t, nil, r, wrong, now)
			verifies(t, r, now)
		})
	}
}

// TestNobodyIsChangedByAWrongLogin: neither a wrong administrator nor a wrong current password changes anything, and it
// is certain.
func TestNobodyIsChangedByAWrongLogin(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			s, now := s.account(t, "u")
			r := s.open(t, func(d *rotation.Deps) {
				if d.Admin != nil {
					d.Admin = &rotation.Credential{User: d.Admin.User, Secret: s.password("wrong")}
				}
			})
			login := now
			if s.own {
				login.Secret = s.password("wrong")
			}
			next := s.next(t, r, now, "next")
			sets(t, rotation.ErrDenied, r, login, next)
			verifies(t, r, now)
			denied(t, r, next)
		})
	}
}

// TestBadCandidates are refused before anybody is asked.
func TestBadCandidates(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			s, now := s.account(t, "u")
			r := s.open(t, unreachable)
			for _, password := range []string{"", "a\x00b", "a\nb", "\x7f", "\xff\xfe", "\u0085"} {
				next := s.next(t, r, now, "")
				next.Secret = secret.New(password)
				sets(t, rotation.ErrRefused, r, now, next)
			}
			sets(t, rotation.ErrRefused, r, now, rotation.Credential{User: s.next(t, r, now, "").User})
			denied(t, s.open(t), rotation.Credential{User: now.User})
		})
	}
}

func unreachable(d *rotation.Deps) {
	d.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way there") }
}

// TestUnknownUsers are not made.
func TestUnknownUsers(t *testing.T) {
	for _, s := range stages() {
		t.Run(s.name, func(t *testing.T) {
			s.address(t)
			if s.own {
				t.Skip("who does not exist cannot log in")
			}
			user := "nobody" + rand.Text()
			if s.alternate {
				s = s.with(map[string]any{"users": []any{user, user + "2"}})
			}
			r := s.open(t)
			now := rotation.Credential{User: user, Secret: s.password("x")}
			next := s.next(t, r, now, "")
			sets(t, secret.ErrPermanent, r, now, next)
			denied(t, r, next)
			sets(t, secret.ErrPermanent, r, rotation.Credential{}, rotation.Credential{Secret: s.password("x")})
		})
	}
}

// TestUnclearAnswers: what is not an answer of the server is neither denied nor refused nor permanent, and ends in time.
func TestUnclearAnswers(t *testing.T) {
	ways := map[string]rotation.DialFunc{
		"unreachable": func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way there") },
		"closes":      answering(func(c net.Conn) { c.Close() }),
		"silent":      answering(func(net.Conn) {}),
		"nonsense": answering(func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 503 \xff\x00 no\r\n\r\n"))
			c.Close()
		}),
	}
	for _, s := range stages() {
		for name, dial := range ways {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				s.address(t)
				if s.alternate {
					s = s.with(map[string]any{"users": []any{"u", "v"}})
				}
				r := s.open(t, func(d *rotation.Deps) { d.Dial = dial })
				now := rotation.Credential{User: "u", Secret: s.password("x")}
				next := s.next(t, r, now, "next")
				calls := map[string]func(context.Context) error{
					"verify": func(ctx context.Context) error { return r.Verify(ctx, now) },
					"set":    func(ctx context.Context) error { return r.Set(ctx, now, next) },
				}
				if retirer, ok := r.(rotation.Retirer); ok {
					calls["retire"] = func(ctx context.Context) error { return retirer.Retire(ctx, now, next) }
				}
				for what, call := range calls {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
					err := call(ctx)
					cancel()
					if err == nil || errors.Is(err, rotation.ErrDenied) || errors.Is(err, rotation.ErrRefused) || !secret.IsTransient(err) {
						t.Errorf("%s: %v", what, err)
					}
					tellsNothing(t, err, now, next)
				}
			})
		}
	}
}

// answering is a dial function to a server that does this with every connection.
func answering(do func(net.Conn)) rotation.DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			buffer := make([]byte, 4096)
			_, _ = there.Read(buffer[:1])
			do(there)
			for {
				if _, err := there.Read(buffer); err != nil {
					return
				}
			}
		}()
		return here, nil
	}
}

// isClear reports whether an error is an answer that the engine acts on.
func isClear(err error) bool {
	return errors.Is(err, rotation.ErrDenied) || errors.Is(err, rotation.ErrRefused)
}
