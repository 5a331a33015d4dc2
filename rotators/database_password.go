package rotators

import (
	"errors"
	"fmt"
	"io"

	"github.com/keyferry/keyferry/rotation"
)

// databaseParams says which server holds an account, and how its password changes.
type databaseParams struct {
	Engine     string   `json:"engine" doc:"postgres, mariadb, mysql or mssql (SQL Server, Azure SQL)"`
	Host       string   `json:"host" doc:"name or address of the server"`
	Port       int      `json:"port" default:"0" doc:"0: 5432 postgres, 3306 mariadb and mysql, 1433 mssql"`
	Database   string   `json:"database" doc:"to log in to; postgres and mssql need it"`
	TLS        string   `json:"tls" default:"verify" doc:"verify: TLS with a certificate for host; off: none"`
	CA         string   `json:"ca" doc:"certificates in PEM form to trust instead of the system's"`
	Iterations int      `json:"iterations" default:"4096" doc:"postgres: of SCRAM-SHA-256, as its setting scram_iterations; fewer make log-ins cheaper, and random passwords need no more"`
	UserHost   string   `json:"userHost" default:"%" doc:"mariadb and mysql: the host part of the account"`
	Contained  bool     `json:"contained" default:"false" doc:"mssql: the user lives in the database, without a login"`
	Overlap    bool     `json:"overlap" default:"false" doc:"mariadb (mysql_native_password) and mysql: the old password works on until it is retired; needs the privilege CREATE USER, or on mysql APPLICATION_PASSWORD_ADMIN"`
	Users      []string `json:"users" doc:"two accounts with the same rights to alternate between; needs an admin secret"`
	Length     int      `json:"length" default:"32" doc:"characters of a password, 16 to 512; mssql to 128"`
	Classes    []string `json:"classes" doc:"the classes in use, each at least once: lower, upper, digit, symbol (- _ . ~); all when not given"`
	Characters string   `json:"characters" doc:"the characters in use, instead of classes: printable ASCII, each listed once"`
}

// databasePorts are the ports where the engines usually are.
var databasePorts = map[string]int{"postgres": 5432, "mariadb": 3306, "mysql": 3306, "mssql": 1433}

// Validate reports every fault at once.
func (p databaseParams) Validate() error {
	_, err := p.server(nil, nil)
	faults := []error{err, generatedParams{p.Length, p.Classes, p.Characters}.Validate()}
	add := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, errors.New(text))
		}
	}
	second := p.Engine == "mariadb" || p.Engine == "mysql"
	add(p.Database == "" && (p.Engine == "postgres" || p.Engine == "mssql"), "parameter database: needed to log in")
	add(!plain(p.Database), "parameter database: holds control characters")
	add(!plain(p.UserHost) || p.UserHost == "", "parameter userHost: empty, or holds control characters")
	add(p.Iterations < 1 || p.Iterations > maxScramIterations, "parameter iterations: not 1 to 10,000,000")
	add(p.Iterations != scramIterations && p.Engine != "postgres", "parameter iterations: for postgres")
	add(p.UserHost != "%" && !second, "parameter userHost: for mariadb and mysql")
	add(p.Contained && p.Engine != "mssql", "parameter contained: for mssql")
	add(p.Overlap && !second, "parameter overlap: for mariadb and mysql; let other engines alternate between two users")
	add(p.Engine == "mssql" && p.Length > mssqlMax, fmt.Sprintf("parameter length: at most %d for mssql", mssqlMax))
	faults = append(faults, usersFault(p.Users))
	add(p.Overlap && len(p.Users) > 0, "parameters overlap and users exclude each other")
	return errors.Join(faults...)
}

// usersFault judges two accounts to alternate between.
func usersFault(users []string) error {
	if len(users) == 0 || len(users) == 2 && users[0] != users[1] && users[0] != "" && users[1] != "" && plain(users[0]) && plain(users[1]) {
		return nil
	}
	return errors.New("parameter users: two different names, or none")
}

// server is where the accounts are.
func (p databaseParams) server(dial rotation.DialFunc, random io.Reader) (accounts, error) {
	port, known := databasePorts[p.Engine]
	if p.Port != 0 {
		port = p.Port
	}
	if !known {
		return nil, fmt.Errorf("parameter engine: %q is none of postgres, mariadb, mysql, mssql", p.Engine)
	}
	e, err := newEndpoint(p.Host, port, p.TLS, p.CA, dial)
	if err != nil {
		return nil, err
	}
	switch p.Engine {
	case "postgres":
		return postgres{e, p.Database, p.Iterations, random}, nil
	case "mariadb":
		return mariadb{mysqlServer{e, p.Database, p.UserHost}}, nil
	case "mysql":
		return mysql{mysqlServer{e, p.Database, p.UserHost}}, nil
	}
	return mssql{e, p.Database, p.Contained}, nil
}

func databasePasswordKind(random io.Reader) rotation.Kind {
	return rotation.Define("database-password", "the password of an account of PostgreSQL, MariaDB, MySQL, SQL Server or Azure SQL",
		func(deps rotation.Deps, p databaseParams) (rotation.Rotator, error) {
			server, err := p.server(deps.Dial, random)
			if err != nil {
				return nil, err
			}
			a := account{server, deps.Admin, generatedParams{p.Length, p.Classes, p.Characters}.policy()}
			switch {
			case len(p.Users) > 0:
				return alternatingBetween(single{a, server}, p.Users, random)
			case p.Overlap:
				return paired{a, server.(pairs)}, nil
			}
			return single{a, server}, nil
		})
}
