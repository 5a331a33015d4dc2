package rotators

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// postgres is a PostgreSQL server, 10 or later. It never gets a password in SQL, so its logs hold none.
type postgres struct {
	endpoint
	database   string
	iterations int // of SCRAM-SHA-256
	random     io.Reader
}

// postgresAnswers are the SQLSTATEs that tell something (PostgreSQL manual, appendix A).
var postgresAnswers = map[string]answer{
	"28P01": {rotation.ErrDenied, "wrong password"},
	"28000": {secret.ErrPermanent, "this user may not log in, or not from here"},
	"3D000": {secret.ErrPermanent, "no such database"},
	"42501": {secret.ErrPermanent, "insufficient privilege"},
	"42704": {secret.ErrPermanent, "no such role"},
	"0A000": {secret.ErrPermanent, "not supported"},
	"53300": {nil, "too many connections"},
	"57P03": {nil, "not ready"},
	"25006": {nil, "read-only"},
}

// refusedByPostgres is what the module passwordcheck answers, and what is modelled on it.
const refusedByPostgres = "22023"

func (p postgres) verify(ctx context.Context, c rotation.Credential) error {
	conn, err := p.open(ctx, c)
	if err != nil {
		return err
	}
	_ = conn.Close(ctx) // what had to be proved is proved
	return nil
}

// set asks for the role first. VALID UNTIL is not a password's business, so a role past it is for a person: the right
// password would be denied too.
func (p postgres) set(ctx context.Context, login, next rotation.Credential) error {
	verifier, err := scramVerifier(next.Secret, p.iterations, p.random)
	if err != nil {
		return err
	}
	conn, err := p.open(ctx, login)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)

	// The name is compared as text: as a name it would be cut to the length of one, and so may be another role's.
	const role = "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false) FROM pg_catalog.pg_roles WHERE rolname::text = $1::text"
	found := conn.ExecParams(ctx, role, [][]byte{[]byte(next.User)}, nil, nil, nil).Read()
	switch {
	case found.Err != nil:
		return p.fault(found.Err)
	case len(found.Rows) == 0:
		return fmt.Errorf("%w: no such role", secret.ErrPermanent)
	case string(found.Rows[0][0]) != "t":
		return fmt.Errorf("%w: the role may not log in", secret.ErrPermanent)
	case string(found.Rows[0][1]) != "f":
		return fmt.Errorf("%w: the role's VALID UNTIL is past, so no password is accepted", secret.ErrPermanent)
	}
	// Utility statements take no parameters. A role may be set to act as another one, which could not do this.
	_, err = conn.Exec(ctx, "SET ROLE NONE; ALTER ROLE "+quoted(next.User, `"`, `"`)+" PASSWORD '"+verifier+"'").ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == refusedByPostgres {
		return answer{rotation.ErrRefused, "the password breaks its rules"}.fault("SQLSTATE " + pg.Code)
	}
	return p.fault(err)
}

// postgresDefaults names every setting that the driver would else read from the environment or the home directory.
const postgresDefaults = "host=unused port=1 dbname=unused user=unused password=unused sslmode=disable sslrootcert='' sslcert='' sslkey='' " +
	"sslcertmode=disable sslnegotiation=postgres channel_binding=prefer require_auth='' target_session_attrs=any connect_timeout=0 " +
	"min_protocol_version=3.0 max_protocol_version=3.0"

// open logs in. The driver resolves no names and never tries again without TLS.
func (p postgres) open(ctx context.Context, c rotation.Credential) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(postgresDefaults)
	if err != nil {
		return nil, fmt.Errorf("%w: the driver does not take its settings, perhaps for the variable PGSERVICE", secret.ErrPermanent)
	}
	config.Host, config.Port, config.Database = p.host, uint16(p.port), p.database
	config.User, config.Password = c.User, c.Secret.Reveal()
	config.TLSConfig, config.Fallbacks = p.tls, nil
	config.RuntimeParams = map[string]string{"application_name": "keyferry"}
	config.DialFunc = pgconn.DialFunc(p.dial)
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	// A server that trusts everybody proves nothing, and without TLS nobody may ask for the password itself.
	config.RequireAuth = "!none"
	if p.tls == nil {
		config.RequireAuth = "!none,!password"
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	return conn, p.fault(err)
}

// fault keeps of what the server says the SQLSTATE only.
func (p postgres) fault(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &pg):
		return p.endpoint.fault(err)
	case len(pg.Code) != 5 || !plain(pg.Code):
		return answer{}.fault("no SQLSTATE")
	}
	return postgresAnswers[pg.Code].fault("SQLSTATE " + pg.Code)
}
