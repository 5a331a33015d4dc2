package rotators

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// rabbitmqParams says which RabbitMQ holds a user.
type rabbitmqParams struct {
	URL        string   `json:"url" doc:"of the management plugin, as https://rabbit.example.com:15671; with http, passwords travel in the clear"`
	Users      []string `json:"users" doc:"two users with the same rights to alternate between; needs an admin secret"`
	Length     int      `json:"length" default:"32" doc:"characters of a password, 16 to 512"`
	Classes    []string `json:"classes" doc:"the classes in use, each at least once: lower, upper, digit, symbol (- _ . ~); all when not given"`
	Characters string   `json:"characters" doc:"the characters in use, instead of classes: printable ASCII, each listed once"`
}

// Validate reports every fault at once.
func (p rabbitmqParams) Validate() error {
	u, err := url.Parse(p.URL)
	faults := []error{usersFault(p.Users), generatedParams{p.Length, p.Classes, p.Characters}.Validate()}
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		faults = append(faults, errors.New("parameter url: want https://host:port, without a user or a query"))
	}
	return errors.Join(faults...)
}

func rabbitmqUserKind(random io.Reader) rotation.Kind {
	return rotation.Define("rabbitmq-user", "the password of an internal user of RabbitMQ, by its management plugin",
		func(deps rotation.Deps, p rabbitmqParams) (rotation.Rotator, error) {
			if deps.HTTP == nil {
				return nil, errors.New("no HTTP client")
			}
			client := *deps.HTTP
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			server := rabbitmq{&client, strings.TrimSuffix(p.URL, "/") + "/api/", random}
			one := single{account{server, deps.Admin, generatedParams{p.Length, p.Classes, p.Characters}.policy()}, server}
			if len(p.Users) > 0 {
				return alternatingBetween(one, p.Users, random)
			}
			return one, nil
		})
}

// rabbitmq is a RabbitMQ server with the management plugin. Set sends a hash of the password, and who makes the change
// has the tag administrator.
type rabbitmq struct {
	client *http.Client
	api    string
	random io.Reader
}

// maxRabbitAnswer bounds what is read of an answer; those wanted are some hundred bytes.
const maxRabbitAnswer = 1 << 20

// verify takes a user without rights on the plugin for proven: the password is judged first.
func (r rabbitmq) verify(ctx context.Context, c rotation.Credential) error {
	_, err := r.call(ctx, c, http.MethodGet, "whoami", nil)
	if errors.Is(err, errNotManagement) {
		return nil
	}
	return err
}

// set reads the tags first, because PUT replaces them.
func (r rabbitmq) set(ctx context.Context, login, next rotation.Credential) error {
	if strings.Contains(next.User, ":") {
		return errColon
	}
	path := "users/" + url.PathEscape(next.User)
	body, err := r.call(ctx, login, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	tags, err := rabbitTags(body)
	if err != nil {
		return err
	}
	hash, err := rabbitHash(next.Secret, r.random)
	if err != nil {
		return err
	}
	body, err = json.Marshal(map[string]string{
		"password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags,
	})
	if err == nil {
		_, err = r.call(ctx, login, http.MethodPut, path, body)
	}
	return err
}

// rabbitTags reads the tags of a user, a list or before 3.9 a text, and writes them as PUT takes them.
func rabbitTags(body []byte) (string, error) {
	var user struct {
		Tags json.RawMessage `json:"tags"`
	}
	var list []string
	var text string
	switch {
	case json.Unmarshal(body, &user) != nil || len(user.Tags) == 0:
	case json.Unmarshal(user.Tags, &list) == nil && list != nil:
		return strings.Join(list, ","), nil
	case user.Tags[0] == '"' && json.Unmarshal(user.Tags, &text) == nil:
		return text, nil
	}
	return "", fmt.Errorf("%w: the server does not tell the tags of the user", secret.ErrPermanent)
}

// rabbitHash is what RabbitMQ stores for a password: four bytes of salt, and SHA-256 of them and the password.
func rabbitHash(password secret.Value, random io.Reader) (string, error) {
	salt := make([]byte, 4)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	sum := sha256.Sum256(append(salt[:4:4], password.Reveal()...))
	return base64.StdEncoding.EncodeToString(append(salt, sum[:]...)), nil
}

// errNotManagement is of a user whose password is right and who may not use the plugin.
var errNotManagement = fmt.Errorf("%w: the user has no tag of the management plugin", secret.ErrPermanent)

// errColon is of a user whom nothing can be proved of here: Basic ends the name at a colon (RFC 7617).
var errColon = fmt.Errorf("%w: nobody logs in by HTTP with a colon in the name", secret.ErrPermanent)

// call makes one request and returns the body of a success.
func (r rabbitmq) call(ctx context.Context, login rotation.Credential, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.api+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the address of the server", secret.ErrPermanent)
	}
	if strings.Contains(login.User, ":") {
		return nil, errColon
	}
	request.SetBasicAuth(login.User, login.Secret.Reveal())
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err // without the address of the call
		}
		return nil, endpoint{host: request.URL.Hostname(), port: portOf(request.URL)}.fault(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxRabbitAnswer))
	if err != nil {
		return nil, endpoint{host: request.URL.Hostname(), port: portOf(request.URL)}.fault(err)
	}
	return answer, rabbitFault(response.StatusCode, answer)
}

// rabbitFault says what a status means. 401 has several reasons, and only one of them is a wrong password.
func rabbitFault(status int, body []byte) error {
	var problem struct {
		Reason json.RawMessage `json:"reason"`
	}
	_ = json.Unmarshal(body, &problem) // without a reason it is only less clear
	var is answer
	switch reason := string(problem.Reason); {
	case status/100 == 2:
		return nil
	case status == http.StatusUnauthorized && reason == `"Not management user"`:
		return errNotManagement
	case status == http.StatusUnauthorized && reason == `"Login failed"`:
		is = answer{rotation.ErrDenied, "wrong user or password"}
	case status == http.StatusUnauthorized && strings.HasPrefix(reason, `"Not `): // administrator, monitor, policymaker user
		is = answer{secret.ErrPermanent, "the user lacks the tag administrator"}
	case status == http.StatusNotFound:
		is = answer{secret.ErrPermanent, "no such user, or no management plugin"}
	case status == http.StatusBadRequest:
		is = answer{secret.ErrPermanent, "a bad request"}
	case status/100 == 3:
		is = answer{secret.ErrPermanent, "a redirection, which is not followed"}
	}
	return is.fault("status " + strconv.Itoa(status))
}

func portOf(u *url.URL) int {
	port, _ := strconv.Atoi(u.Port())
	switch {
	case port != 0:
		return port
	case u.Scheme == "http":
		return 80
	}
	return 443
}
