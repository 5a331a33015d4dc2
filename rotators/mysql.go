package rotators

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/keyferry/keyferry/rotation"
)

// mysql is a server of MySQL's own, 8.0.14 or later. It gets passwords in SQL and takes them out of what it logs
// (MySQL manual, "Passwords and Logging"), so use TLS.
type mysql struct{ mysqlServer }

// Statements of MySQL (manual, "ALTER USER").
const (
	mysqlSelf    = "USER()" // ALTER USER USER() needs no privilege
	mysqlReplace = "ALTER USER %s IDENTIFIED BY %s"
	mysqlProve   = "ALTER USER %s IDENTIFIED BY %s REPLACE %s"
	mysqlRetain  = "ALTER USER %s IDENTIFIED BY %s RETAIN CURRENT PASSWORD"
	mysqlDiscard = "ALTER USER %s DISCARD OLD PASSWORD"
)

// mysqlMissingCurrent is the answer where password_require_current is on.
const mysqlMissingCurrent = 3892

func (m mysql) set(ctx context.Context, login, next rotation.Credential) error {
	return m.alter(ctx, login, next.User, func(conn *sql.Conn, who string) error {
		password := literal(next.Secret.Reveal())
		err := m.exec(ctx, conn, fmt.Sprintf(mysqlReplace, who, password))
		if number(err) == mysqlMissingCurrent && who == mysqlSelf {
			err = m.exec(ctx, conn, fmt.Sprintf(mysqlProve, who, password, literal(login.Secret.Reveal())))
		}
		return err
	})
}

// add makes the current password the second one. An older second one dies: MySQL keeps two.
func (m mysql) add(ctx context.Context, login, _, next rotation.Credential) error {
	return m.alter(ctx, login, next.User, func(conn *sql.Conn, who string) error {
		return m.exec(ctx, conn, fmt.Sprintf(mysqlRetain, who, literal(next.Secret.Reveal())))
	})
}

// drop discards the second password. MySQL tells nobody which it is, so that old is the second one follows from now
// having been set after it; an old one that is denied is gone already.
func (m mysql) drop(ctx context.Context, login, old, now rotation.Credential) error {
	if !old.Secret.IsZero() {
		if err := m.verify(ctx, old); errors.Is(err, rotation.ErrDenied) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return m.alter(ctx, login, now.User, func(conn *sql.Conn, who string) error {
		return m.exec(ctx, conn, fmt.Sprintf(mysqlDiscard, who))
	})
}

// alter logs in to change the account who.
func (m mysql) alter(ctx context.Context, login rotation.Credential, user string, do func(conn *sql.Conn, who string) error) error {
	who, err := m.account(login, user, mysqlSelf)
	if err != nil {
		return err
	}
	return m.session(ctx, login, "", func(conn *sql.Conn) error { return do(conn, who) })
}
