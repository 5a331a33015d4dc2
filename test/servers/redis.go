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

// redis is Redis whose users live in an ACL file.
func redis() server {
	return redisWith("redis", "KEYFERRY_TEST_REDIS", func(dir, users string) (string, error) {
		file := filepath.Join(dir, "users.acl")
		return "aclfile " + file + "\n", os.WriteFile(file, []byte(users), 0o600)
	})
}

// redisPlain is another one, whose users live in its configuration file.
func redisPlain() server {
	return redisWith("redis-plain", "KEYFERRY_TEST_REDIS_PLAIN", func(_, users string) (string, error) { return users, nil })
}

// redisWith starts a Redis with the users, which accounts puts into the configuration or beside it.
func redisWith(name, variable string, accounts func(dir, users string) (config string, err error)) server {
	return server{name: name, start: func(ctx context.Context, m *machine) (ready, error) {
		bin, err := m.program(ctx, "redis-server", "redis-server")
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
		var ports [2]string // plain, TLS
		for i := range ports {
			if ports[i], err = freePort(); err != nil {
				return ready{}, err
			}
		}
		password := randomSecret()
		config, err := accounts(dir, "user default off\nuser admin on >"+password+" ~* &* +@all\n")
		if err != nil {
			return ready{}, fmt.Errorf("write the first accounts: %w", err)
		}
		config += "bind 127.0.0.1\nport " + ports[0] + "\ndir " + dir + "\nsave \"\"\nappendonly no\n" +
			"tls-port " + ports[1] + "\ntls-cert-file " + certificate + "\ntls-key-file " + key + "\ntls-auth-clients no\n"
		file := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return ready{}, fmt.Errorf("write redis.conf: %w", err)
		}
		p, err := m.launch(name, exec.Command(bin, file))
		if err != nil {
			return ready{}, err
		}
		address := net.JoinHostPort("127.0.0.1", ports[0])
		if err := p.await(ctx, time.Minute, listens(address)); err != nil {
			return ready{}, err
		}
		version, err := exec.CommandContext(ctx, bin, "--version").Output()
		if err != nil {
			return ready{}, fmt.Errorf("ask the version: %w", err)
		}
		short, _, _ := strings.Cut(firstLine(version), " sha=")
		return ready{detail: short + " at " + address, env: []string{
			variable + "=" + (&url.URL{Scheme: "redis", User: url.UserPassword("admin", password), Host: address}).String(),
			variable + "_TLS_PORT=" + ports[1],
			variable + "_CA=" + certificate,
		}}, nil
	}}
}
