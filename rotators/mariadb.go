package rotators

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// mariadb is a MariaDB server, 10.4 or later. It gets hashes of passwords, so its logs and its binary log hold none.
// Only a server that judges passwords, by a plugin for that, refuses hashes and gets the passwords.
type mariadb struct{ mysqlServer }

// set replaces all passwords of the account. Without the privilege CREATE USER an account can replace its first one
// only, so one that has several is for an administrator.
func (m mariadb) set(ctx context.Context, login, next rotation.Credential) error {
	return m.change(ctx, login, next.User, func(conn *sql.Conn, had mariadbAccount) error {
		if login.User != next.User {
			return m.alter(ctx, conn, had.replaced(next.Secret), next.Secret)
		}
		if len(had.ways) > 1 && (len(had.passwords()) > 1 || !had.ways[0].isPassword()) {
			return fmt.Errorf("%w: the account has several ways to log in, and only an administrator can replace the right one", secret.ErrPermanent)
		}
		err := m.exec(ctx, conn, "SET PASSWORD = "+literal(hashed(had.plugin(), next.Secret)))
		if number(err) == mysqlOptionPrevents {
			err = m.exec(ctx, conn, "SET PASSWORD = PASSWORD("+literal(next.Secret.Reveal())+")")
		}
		return err
	})
}

// add leaves the account two passwords. A client is asked again for the second way to log in, and many clients, that of
// this program too, answer that once: so the passwords are of the kind that a client begins with, and nothing else is.
func (m mariadb) add(ctx context.Context, login, now, next rotation.Credential) error {
	return m.change(ctx, login, next.User, func(conn *sql.Conn, had mariadbAccount) error {
		if had.plugin() != nativePassword {
			return fmt.Errorf("%w: passwords by %s cannot overlap for every client; alternate between two users", secret.ErrPermanent, had.plugin())
		}
		want := had.paired(now.Secret, next.Secret)
		if len(want.ways) > 2 {
			return fmt.Errorf("%w: the account has other ways to log in than passwords, and clients try two ways", secret.ErrPermanent)
		}
		return m.alter(ctx, conn, want, now.Secret, next.Secret)
	})
}

// drop takes away the password of old, or when nobody knows it the only one beside that of now.
func (m mariadb) drop(ctx context.Context, login, old, now rotation.Credential) error {
	return m.change(ctx, login, now.User, func(conn *sql.Conn, had mariadbAccount) error {
		isNow := func(a alternative) bool { return a.knows(now.Secret) }
		isOld := func(a alternative) bool { return a.knows(old.Secret) }
		if old.Secret.IsZero() {
			isOld = func(a alternative) bool { return a.isPassword() && !isNow(a) }
			if others := len(had.ways) - len(had.without(isOld).ways); others > 1 {
				return fmt.Errorf("%w: which of %d passwords is the old one is not known", secret.ErrPermanent, others)
			}
		}
		switch {
		case !slices.ContainsFunc(had.ways, isOld):
			return nil
		case !slices.ContainsFunc(had.ways, isNow):
			return fmt.Errorf("%w: the account does not have the current password", secret.ErrPermanent)
		}
		return m.alter(ctx, conn, had.without(isOld), now.Secret)
	})
}

// change logs in and reads the account before it is changed. For another one than its own, that takes the privilege
// SELECT on the database mysql.
func (m mariadb) change(ctx context.Context, login rotation.Credential, user string, do func(*sql.Conn, mariadbAccount) error) error {
	who, err := m.account(login, user, "CURRENT_USER()")
	if err != nil {
		return err
	}
	return m.session(ctx, login, "", func(conn *sql.Conn) error {
		var text string
		if err := conn.QueryRowContext(ctx, "SHOW CREATE USER "+who).Scan(&text); err != nil {
			return m.fault(err)
		}
		had, err := parseAccount(text)
		if err != nil {
			return fmt.Errorf("%w: %w", secret.ErrPermanent, err)
		}
		if had.user != user { // logged in as the anonymous account
			return fmt.Errorf("%w: the server takes %q for the account %q", secret.ErrPermanent, user, had.user)
		}
		return do(conn, had)
	})
}

// alter makes the server take over how the account logs in.
func (m mariadb) alter(ctx context.Context, conn *sql.Conn, want mariadbAccount, known ...secret.Value) error {
	statement, _ := want.statement(true)
	err := m.exec(ctx, conn, statement)
	if number(err) != mysqlOptionPrevents {
		return err
	}
	statement, ok := want.statement(false, known...)
	if !ok {
		return fmt.Errorf("%w: the server judges passwords, so it takes no hashes, and has one that nobody here knows", secret.ErrPermanent)
	}
	return m.exec(ctx, conn, statement)
}
