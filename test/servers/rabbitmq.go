package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rabbitmq is RabbitMQ with its management API. Erlang's nodes find each other through a daemon, epmd, that the first
// of them starts and leaves behind; this one gets an epmd of its own, which goes with it, and may not start another.
func rabbitmq() server {
	return server{name: "rabbitmq", start: func(ctx context.Context, m *machine) (ready, error) {
		if _, err := m.program(ctx, "rabbitmqctl", "rabbitmq-server"); err != nil {
			return ready{}, err
		}
		epmd, err := m.program(ctx, "epmd")
		if err != nil {
			return ready{}, err
		}
		dir, err := m.folder("rabbitmq", "")
		if err != nil {
			return ready{}, err
		}
		var ports [4]string // amqp, management, distribution, epmd
		for i := range ports {
			if ports[i], err = freePort(); err != nil {
				return ready{}, err
			}
		}
		password := randomSecret()
		config := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%s\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n"+
			"default_user = admin\ndefault_pass = %s\ndefault_user_tags.administrator = true\nlog.console = true\nlog.file = false\n", ports[0], ports[1], password)
		for name, text := range map[string]string{"rabbitmq.conf": config, "plugins": "[rabbitmq_management].\n", "env.conf": ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				return ready{}, fmt.Errorf("write %s: %w", name, err)
			}
		}
		env := append(os.Environ(), "HOME="+dir, "ERL_AFLAGS=-start_epmd false", "ERL_EPMD_PORT="+ports[3], "ERL_EPMD_ADDRESS=127.0.0.1",
			"RABBITMQ_NODENAME=keyferry"+ports[3]+"@localhost", "RABBITMQ_DIST_PORT="+ports[2],
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
			"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "env.conf"), "RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
			"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"), "RABBITMQ_BASE="+dir, "RABBITMQ_MNESIA_BASE="+dir,
			"RABBITMQ_LOG_BASE="+dir, "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"))
		names := exec.Command(epmd, "-port", ports[3], "-address", "127.0.0.1")
		names.Env = env
		daemon, err := m.launch("rabbitmq-epmd", names)
		if err != nil {
			return ready{}, err
		}
		if err := daemon.await(ctx, time.Minute, listens(net.JoinHostPort("127.0.0.1", ports[3]))); err != nil {
			return ready{}, err
		}
		broker := exec.Command("/usr/lib/rabbitmq/bin/rabbitmq-server") // the one on the PATH changes its user and forgets env
		broker.Env, broker.Dir = env, dir
		p, err := m.launch("rabbitmq", broker)
		if err != nil {
			return ready{}, err
		}
		api := url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", ports[1])}
		if err := p.await(ctx, 2*time.Minute, answers(api.String()+"/api/whoami", http.StatusUnauthorized)); err != nil {
			return ready{}, err
		}
		detail := "management at " + api.String()
		api.User = url.UserPassword("admin", password)
		return ready{detail: detail, env: []string{"KEYFERRY_TEST_RABBITMQ=" + api.String()}}, nil
	}}
}
