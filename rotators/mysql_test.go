package rotators

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// mysqlStub speaks as much of MySQL's protocol as it takes to log in and to be told statements. It stands in for MySQL 8,
// which Debian does not have, and shows what is sent; what MySQL makes of it, its manual says.
type mysqlStub struct {
	denied     []string          // users
	answers    map[string]uint16 // beginnings of statements, and the errors they get
	statements []string
}

func (m *mysqlStub) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go m.serve(there)
	return here, nil
}

func (m *mysqlStub) serve(conn net.Conn) {
	defer conn.Close()
	sequence := byte(0)
	send := func(payload []byte) {
		packet := append([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, sequence}, payload...)
		sequence++
		_, _ = conn.Write(packet)
	}
	receive := func() []byte {
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return nil
		}
		body := make([]byte, int(head[0])|int(head[1])<<8)
		_, _ = io.ReadFull(conn, body)
		sequence = head[3] + 1
		return body
	}
	ok := []byte{0, 0, 0, 2, 0, 0, 0}
	fault := func(number uint16) []byte {
		return append(binary.LittleEndian.AppendUint16([]byte{0xff}, number), "#HY000it repeats what was sent"...)
	}
	// Protocol 4.1, secure connection, plugin auth, transactions; the scramble is of no importance.
	greeting := append([]byte{10}, "8.0.36\x00\x01\x00\x00\x0012345678\x00\x00\xa2\x2d\x02\x00\x08\x00\x15"...)
	greeting = append(append(greeting, make([]byte, 10)...), "123456789012\x00mysql_native_password\x00"...)
	send(greeting)
	login := receive()
	for _, user := range m.denied {
		if strings.Contains(string(login), user+"\x00") {
			send(fault(1045))
			return
		}
	}
	send(ok)
	for {
		command := receive()
		if len(command) == 0 || command[0] != 3 {
			return
		}
		statement := string(command[1:])
		if strings.HasPrefix(statement, "SET ") {
			send(ok)
			continue
		}
		m.statements = append(m.statements, statement)
		answer := ok
		for begin, number := range m.answers {
			if strings.HasPrefix(statement, begin) {
				answer = fault(number)
			}
		}
		send(answer)
	}
}

func openMySQL(t *testing.T, stub *mysqlStub, admin *rotation.Credential, params map[string]any) rotation.Setter {
	t.Helper()
	all := map[string]any{"engine": "mysql", "host": "stub", "tls": "off", "userHost": "10.%"}
	for name, value := range params {
		all[name] = value
	}
	r, err := databasePasswordKind(strings.NewReader("")).Open(rotation.Deps{Dial: stub.dial, Admin: admin}, all)
	if err != nil {
		t.Fatal(err)
	}
	return r.(rotation.Setter)
}

func TestMySQLStatements(t *testing.T) {
	admin := &rotation.Credential{User: "admin", Secret: secret.New("admin password")}
	now := rotation.Credential{User: `o'brien\`, Secret: secret.New("old'")}
	next := rotation.Credential{User: now.User, Secret: secret.New(`it's \new`)}
	overlap := map[string]any{"overlap": true}
	set := func(r rotation.Setter) error { return r.Set(t.Context(), now, next) }
	retire := func(r rotation.Setter) error { return r.(rotation.Retirer).Retire(t.Context(), now, next) }
	for _, c := range []struct {
		name   string
		admin  *rotation.Credential
		params map[string]any
		stub   mysqlStub
		call   func(rotation.Setter) error
		want   []string
		err    error
	}{
		{name: "own", call: set, want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`}},
		{name: "own, to be proved", call: set, stub: mysqlStub{answers: map[string]uint16{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`: 3892}}, err: errAny,
			want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`, `ALTER USER USER() IDENTIFIED BY 'it''s \new' REPLACE 'old'''`}},
		{name: "admin", admin: admin, call: set, want: []string{`ALTER USER 'o''brien\'@'10.%' IDENTIFIED BY 'it''s \new'`}},
		{name: "overlap", admin: admin, params: overlap, call: set, want: []string{`ALTER USER 'o''brien\'@'10.%' IDENTIFIED BY 'it''s \new' RETAIN CURRENT PASSWORD`}},
		{name: "overlap, own", params: overlap, call: set, want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new' RETAIN CURRENT PASSWORD`}},
		{name: "retire", admin: admin, params: overlap, call: retire, want: []string{`ALTER USER 'o''brien\'@'10.%' DISCARD OLD PASSWORD`}},
		{name: "retire, own", params: overlap, call: retire, want: []string{`ALTER USER USER() DISCARD OLD PASSWORD`}},
		{name: "retire what is gone", admin: admin, params: overlap, call: retire, stub: mysqlStub{denied: []string{now.User}}},
		{name: "retire the current one", admin: admin, params: overlap, err: secret.ErrPermanent,
			call: func(r rotation.Setter) error { return r.(rotation.Retirer).Retire(t.Context(), next, next) }},
		{name: "policy", call: set, stub: mysqlStub{answers: map[string]uint16{"ALTER": 1819}}, err: rotation.ErrRefused,
			want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`}},
		{name: "used before", call: set, stub: mysqlStub{answers: map[string]uint16{"ALTER": 3638}}, err: rotation.ErrRefused,
			want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`}},
		{name: "privilege", call: set, stub: mysqlStub{answers: map[string]uint16{"ALTER": 1227}}, err: secret.ErrPermanent,
			want: []string{`ALTER USER USER() IDENTIFIED BY 'it''s \new'`}},
		{name: "a name that MySQL would make another", admin: admin, err: secret.ErrPermanent,
			call: func(r rotation.Setter) error {
				return r.Set(t.Context(), now, rotation.Credential{User: "key\U0001F511", Secret: next.Secret})
			}},
		{name: "denied", call: set, stub: mysqlStub{denied: []string{now.User}}, err: rotation.ErrDenied},
		{name: "admin denied", admin: admin, call: set, stub: mysqlStub{denied: []string{"admin"}}, err: rotation.ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.call(openMySQL(t, &c.stub, c.admin, c.params))
			if c.err == nil && err != nil || c.err != nil && err == nil || c.err != nil && c.err != errAny && !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			tellsNothing(t, err, now, next, *admin)
			if err != nil && strings.Contains(err.Error(), "repeats") {
				t.Errorf("an error holds the server's text: %v", err)
			}
			if diff := cmp.Diff(c.want, slices.Clone(c.stub.statements)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var errAny = errors.New("any error")
