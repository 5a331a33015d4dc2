package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mariadb is MariaDB that asks for mysql_native_password and knows ed25519.
func mariadb() server { return mariadbWith("mariadb", "KEYFERRY_TEST_MARIADB") }

// mariadbStrict is another one, which judges passwords and so takes no hashes of them.
func mariadbStrict() server {
	return mariadbWith("mariadb-strict", "KEYFERRY_TEST_MARIADB_STRICT", "--plugin-load-add=simple_password_check")
}

func mariadbWith(name, variable string, args ...string) server {
	return server{name: name, start: func(ctx context.Context, m *machine) (ready, error) {
		bin, err := m.program(ctx, "mariadbd", "mariadb-server")
		if err != nil {
			return ready{}, err
		}
		dir, err := m.folder(name, "")
		if err != nil {
			return ready{}, err
		}
		certificate, key, err := certify(dir, "")
		if err != nil {
			return ready{}, err
		}
		port, err := freePort()
		if err != nil {
			return ready{}, err
		}
		password, data := randomSecret(), filepath.Join(dir, "data")
		// Without a tmpdir of its own, a server that starts would remove the temporary tables of the other one.
		install := exec.CommandContext(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--tmpdir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db")
		if err := m.quietly(install, name+"-install"); err != nil {
			return ready{}, err
		}
		// Accounts have no passwords yet, so the server learns of one before it listens.
		setup := filepath.Join(dir, "setup.sql")
		script := "DROP USER IF EXISTS ''@'localhost', ''@'" + hostname() + "';\n" +
			"CREATE USER 'admin'@'%' IDENTIFIED BY '" + password + "Aa1-';\nGRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;\n"
		if err := os.WriteFile(setup, []byte(script), 0o600); err != nil {
			return ready{}, fmt.Errorf("write the first accounts: %w", err)
		}
		args := append([]string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir, "--port=" + port, "--bind-address=127.0.0.1", "--skip-name-resolve",
			"--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"), "--init-file=" + setup,
			"--plugin-load-add=auth_ed25519", "--ssl-cert=" + certificate, "--ssl-key=" + key, "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
			"--general-log=ON", "--general-log-file=" + filepath.Join(dir, "statements.log"), "--log-bin=" + filepath.Join(dir, "binlog")}, args...)
		if os.Geteuid() == 0 {
			args = append(args, "--user=root")
		}
		p, err := m.launch(name, exec.Command(bin, args...))
		if err != nil {
			return ready{}, err
		}
		address := net.JoinHostPort("127.0.0.1", port)
		if err := p.await(ctx, time.Minute, listens(address)); err != nil {
			return ready{}, err
		}
		version, err := exec.CommandContext(ctx, bin, "--version").Output()
		if err != nil {
			return ready{}, fmt.Errorf("ask the version: %w", err)
		}
		return ready{detail: strings.TrimPrefix(firstLine(version), bin) + " at " + address, env: []string{
			variable + "=" + (&url.URL{Scheme: "mysql", User: url.UserPassword("admin", password+"Aa1-"), Host: address, Path: "/"}).String(),
			variable + "_LOGS=" + dir,
			variable + "_CA=" + certificate,
		}}, nil
	}}
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}
