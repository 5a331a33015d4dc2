package rotators

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// mysqlServer is what MariaDB and MySQL have in common.
type mysqlServer struct {
	endpoint
	database string
	userHost string // the host part of account names
}

// Numbers of errors that more is done about than telling them (MariaDB and MySQL share those below 1900).
const (
	mysqlOptionPrevents  = 1290
	mysqlOperationFailed = 1396
	mysqlPasswordRefused = 1819
)

// mysqlAnswers are the errors that tell something.
var mysqlAnswers = map[uint16]answer{
	1040:                 {nil, "too many connections"},
	1044:                 {secret.ErrPermanent, "no access to this database"},
	1045:                 {rotation.ErrDenied, "access denied"},
	1049:                 {secret.ErrPermanent, "no such database"},
	1064:                 {secret.ErrPermanent, "the statement is not of its language"},
	1133:                 {secret.ErrPermanent, "no such account"},
	1142:                 {secret.ErrPermanent, "insufficient privilege"},
	1227:                 {secret.ErrPermanent, "insufficient privilege"},
	mysqlOptionPrevents:  {nil, "an option of the server prevents it"},
	1372:                 {secret.ErrPermanent, "the hash is of another kind"},
	mysqlOperationFailed: {secret.ErrPermanent, "the account cannot be changed, if it exists"},
	1410:                 {secret.ErrPermanent, "no such account"},
	1698:                 {rotation.ErrDenied, "access denied"},
	mysqlPasswordRefused: {rotation.ErrRefused, "the password breaks its rules"},
	1820:                 {secret.ErrPermanent, "the password is expired"},
	1862:                 {secret.ErrPermanent, "the password is expired"},
	3118:                 {secret.ErrPermanent, "the account is locked"}, // MySQL
	3638:                 {rotation.ErrRefused, "the password was in use before"},
	3878:                 {secret.ErrPermanent, "an empty password is not retained"},
	3892:                 {nil, "the current password is missing"},
	4151:                 {secret.ErrPermanent, "the account is locked"}, // MariaDB
}

func (m mysqlServer) verify(ctx context.Context, c rotation.Credential) error {
	return m.session(ctx, c, m.database, func(*sql.Conn) error { return nil })
}

// session logs in and calls do. In it a backslash is a backslash, quotes are doubled inside literals, and text is
// UTF-8, whatever the server is set to.
func (m mysqlServer) session(ctx context.Context, c rotation.Credential, database string, do func(*sql.Conn) error) error {
	config := driver.NewConfig()
	config.User, config.Passwd, config.DBName = c.User, c.Secret.Reveal(), database
	config.Net, config.Addr, config.DialFunc, config.TLS = "tcp", m.address(), m.dial, m.tls
	config.Logger = &driver.NopLogger{}
	config.Params = map[string]string{
		"sql_mode":                 "'NO_BACKSLASH_ESCAPES'",
		"character_set_client":     "utf8mb4",
		"character_set_connection": "utf8mb4",
		"character_set_results":    "utf8mb4",
	}
	connector, err := driver.NewConnector(config)
	if err != nil {
		return fmt.Errorf("%w: the driver does not take these settings", secret.ErrPermanent)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	conn, err := db.Conn(ctx)
	for range 2 { // the driver cuts a nonce of ed25519 that ends with a zero, which one in 256 does
		if errors.Is(err, driver.ErrMalformPkt) {
			conn, err = db.Conn(ctx)
		}
	}
	if err != nil {
		return m.fault(err)
	}
	defer conn.Close()
	return do(conn)
}

// exec makes the one change of a call. The error has the number of the cause, which a server may hide behind
// mysqlOperationFailed.
func (m mysqlServer) exec(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	if number(err) != mysqlOperationFailed {
		return m.fault(err)
	}
	rows, asked := conn.QueryContext(ctx, "SHOW ERRORS")
	if asked != nil {
		return m.fault(err)
	}
	defer rows.Close()
	for rows.Next() {
		var level, text string
		var cause uint16
		if rows.Scan(&level, &cause, &text) == nil && cause != mysqlOperationFailed {
			return mysqlAnswer(cause)
		}
	}
	return m.fault(err)
}

// fault keeps of what the server says the number only.
func (m mysqlServer) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case number(err) == 0:
		return m.endpoint.fault(err)
	}
	return mysqlAnswer(number(err))
}

// mysqlError is an answer whose number matters to the caller.
type mysqlError struct {
	number uint16
	error
}

func (e mysqlError) Unwrap() error { return e.error }

func mysqlAnswer(number uint16) error {
	return mysqlError{number, mysqlAnswers[number].fault("error " + strconv.Itoa(int(number)))}
}

// number is that of the server's error, 0 for other errors.
func number(err error) uint16 {
	var theirs *driver.MySQLError
	if errors.As(err, &theirs) {
		return theirs.Number
	}
	var ours mysqlError
	errors.As(err, &ours)
	return ours.number
}

// account names the one to change. Whoever changes their own is named by the server, which knows the host part. Names
// are of Unicode's first plane; the server would put a question mark for other characters, and so may mean someone else.
func (m mysqlServer) account(login rotation.Credential, user, own string) (string, error) {
	if strings.ContainsFunc(user, func(r rune) bool { return r > 0xffff }) {
		return "", fmt.Errorf("%w: no account has a name like %q", secret.ErrPermanent, user)
	}
	if login.User == user {
		return own, nil
	}
	return literal(user) + "@" + literal(m.userHost), nil
}
