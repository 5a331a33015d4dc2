package rotators

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"unicode/utf16"

	driver "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// mssql is SQL Server or Azure SQL. It gets passwords in SQL and takes them out of what it traces, so use TLS.
type mssql struct {
	endpoint
	database  string
	contained bool // the user lives in the database; else it is a login of the server
}

// mssqlMax is the length of identifiers and of passwords, in UTF-16 units.
const mssqlMax = 128

// mssqlAnswers are the errors that tell something (Microsoft Learn, "Database engine events and errors").
var mssqlAnswers = map[int32]answer{
	102:   {secret.ErrPermanent, "the statement is not of its language"},
	4060:  {secret.ErrPermanent, "no such database, or no access to it"},
	15113: {rotation.ErrRefused, "too many failed attempts to change the password"},
	15115: {rotation.ErrRefused, "the password breaks its rules"},
	15116: {rotation.ErrRefused, "the password is too short"},
	15117: {rotation.ErrRefused, "the password is too long"},
	15118: {rotation.ErrRefused, "the password is not complex enough"},
	15119: {rotation.ErrRefused, "the password breaks its rules"},
	15151: {secret.ErrPermanent, "no such login or user, or insufficient privilege"},
	15247: {secret.ErrPermanent, "insufficient privilege"},
	18456: {rotation.ErrDenied, "login failed"},
	18470: {secret.ErrPermanent, "the login is disabled"},
	18486: {nil, "the login is locked out"},
	18487: {secret.ErrPermanent, "the password is expired"},
	18488: {secret.ErrPermanent, "the password must be changed"},
	33062: {rotation.ErrRefused, "the password is too short"},
	33063: {rotation.ErrRefused, "the password is too long"},
	33064: {rotation.ErrRefused, "the password is not complex enough"},
	33065: {rotation.ErrRefused, "the password breaks its rules"},
	40532: {secret.ErrPermanent, "no such server for this login"},
	40613: {nil, "the database is not available"},
	40615: {secret.ErrPermanent, "its firewall does not let this address in"},
}

func (m mssql) verify(ctx context.Context, c rotation.Credential) error {
	return m.session(ctx, c, m.database, "")
}

func (m mssql) set(ctx context.Context, login, next rotation.Credential) error {
	if length(next.Secret.Reveal()) > mssqlMax {
		return fmt.Errorf("%w: a password has at most %d characters", rotation.ErrRefused, mssqlMax)
	}
	if length(next.User) > mssqlMax {
		return fmt.Errorf("%w: a user name has at most %d characters", secret.ErrPermanent, mssqlMax)
	}
	database := "master"
	if m.contained {
		database = m.database
	}
	return m.session(ctx, login, database, m.statement(login, next))
}

// statement is built here: QUOTENAME would answer NULL for what is too long, and EXEC of NULL does nothing.
func (m mssql) statement(login, next rotation.Credential) string {
	kind := "LOGIN"
	if m.contained {
		kind = "USER"
	}
	text := "ALTER " + kind + " " + quoted(next.User, "[", "]") + " WITH PASSWORD = N" + literal(next.Secret.Reveal())
	if login.User == next.User {
		text += " OLD_PASSWORD = N" + literal(login.Secret.Reveal())
	}
	return text
}

// session logs in and sends a statement, if there is one.
func (m mssql) session(ctx context.Context, c rotation.Credential, database, statement string) error {
	config, err := msdsn.Parse("sqlserver://" + net.JoinHostPort(m.host, strconv.Itoa(m.port)) + "?encrypt=disable&disableretry=true&app+name=keyferry")
	if err != nil {
		return fmt.Errorf("%w: the driver does not take these settings", secret.ErrPermanent)
	}
	config.User, config.Password, config.Database = c.User, c.Secret.Reveal(), database
	if m.tls != nil {
		config.Encryption, config.TLSConfig = msdsn.EncryptionRequired, m.tls.Clone()
		config.TLSConfig.DynamicRecordSizingDisabled = true // one TDS packet in one TLS record, as the driver has it
	}
	connector := driver.NewConnectorConfig(config)
	connector.Dialer = mssqlDialer{m.endpoint}
	db := sql.OpenDB(connector)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return m.fault(err)
	}
	defer conn.Close()
	if statement != "" {
		_, err = conn.ExecContext(ctx, statement)
	}
	return m.fault(err)
}

// fault keeps of what the server says the number only.
func (m mssql) fault(err error) error {
	var theirs driver.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &theirs):
		return m.endpoint.fault(err)
	}
	return mssqlAnswers[theirs.Number].fault("error " + strconv.Itoa(int(theirs.Number)))
}

// length is how SQL Server counts characters.
func length(text string) int { return len(utf16.Encode([]rune(text))) }

// mssqlDialer leaves the resolving of names to our dial function too, which is what having a HostName tells the driver.
// It may be asked for another server: Azure SQL redirects to the node that holds the database.
type mssqlDialer struct{ endpoint }

func (d mssqlDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dial(ctx, network, address)
}

func (d mssqlDialer) HostName() string { return d.host }
