package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Every password is asked for, but for one database that shows what trust does to a proof.
const postgresAccess = `
host keyferry_trust all 127.0.0.1/32 trust
host all            all 127.0.0.1/32 scram-sha-256
`

// postgres is PostgreSQL with scram-sha-256. Its log holds every statement that changes a role, and the module
// passwordcheck refuses a password that is the name of its user.
func postgres() server {
	return server{name: "postgres", start: func(ctx context.Context, m *machine) (ready, error) {
		bin, err := postgresPrograms(ctx, m)
		if err != nil {
			return ready{}, err
		}
		var owner string
		var as []string // PostgreSQL refuses root
		if os.Geteuid() == 0 {
			owner, as = "postgres", []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"}
		}
		dir, err := m.folder("postgres", owner)
		if err != nil {
			return ready{}, err
		}
		certificate, key, err := certify(dir, owner)
		if err != nil {
			return ready{}, err
		}
		port, err := freePort()
		if err != nil {
			return ready{}, err
		}
		command := func(program string, args ...string) *exec.Cmd {
			all := slices.Concat(as, []string{filepath.Join(bin, program)}, args)
			cmd := exec.CommandContext(ctx, all[0], all[1:]...)
			cmd.Dir = dir
			return cmd
		}
		password, data := randomSecret(), filepath.Join(dir, "data")
		script := fmt.Sprintf("ALTER ROLE postgres PASSWORD '%s';\nCREATE DATABASE keyferry_trust;\n", password)
		initdb := command("initdb", "--pgdata", data, "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--auth=reject")
		if err := m.quietly(initdb, "postgres-initdb"); err != nil {
			return ready{}, err
		}
		if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(postgresAccess), 0o644); err != nil {
			return ready{}, fmt.Errorf("write pg_hba.conf: %w", err)
		}
		single := command("postgres", "--single", "-D", data, "-c", "fsync=off", "-c", "log_statement=none", "postgres")
		if err := m.feed(single, "postgres-setup", script); err != nil {
			return ready{}, err
		}
		p, err := m.launch("postgres", command("postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "log_statement=ddl", "-c", "max_connections=200",
			"-c", "shared_preload_libraries=passwordcheck", "-c", "ssl=on", "-c", "ssl_cert_file="+certificate, "-c", "ssl_key_file="+key))
		if err != nil {
			return ready{}, err
		}
		p.bye = os.Interrupt // killed, it would leave shared memory behind
		address := net.JoinHostPort("127.0.0.1", port)
		if err := p.await(ctx, time.Minute, listens(address)); err != nil {
			return ready{}, err
		}
		version, err := command("postgres", "--version").Output()
		if err != nil {
			return ready{}, fmt.Errorf("ask the version: %w", err)
		}
		return ready{detail: firstLine(version) + " at " + address, env: []string{
			"KEYFERRY_TEST_POSTGRES=" + (&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: address, Path: "/postgres"}).String(),
			"KEYFERRY_TEST_POSTGRES_LOG=" + p.log,
			"KEYFERRY_TEST_POSTGRES_CA=" + certificate,
		}}, nil
	}}
}

// postgresPrograms returns the folder of the newest PostgreSQL there is. Debian keeps its programs off the PATH.
func postgresPrograms(ctx context.Context, m *machine) (string, error) {
	find := func() string {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		if path, err := exec.LookPath("initdb"); err == nil {
			found = append(found, path)
		}
		if len(found) == 0 {
			return ""
		}
		return filepath.Dir(found[len(found)-1])
	}
	if bin := find(); bin != "" {
		return bin, nil
	}
	_, err := m.program(ctx, "initdb", "postgresql")
	if bin := find(); bin != "" {
		return bin, nil
	}
	return "", err
}
