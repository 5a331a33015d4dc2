package rotators

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/keyferry/keyferry/rotation"
	"github.com/keyferry/keyferry/secret"
)

// How a connection is protected. There is nothing between the two: what encrypts without looking at the certificate
// sends the password to whoever answers.
const (
	tlsVerify = "verify"
	tlsOff    = "off"
)

// endpoint is where a server is reached, and how.
type endpoint struct {
	host string
	port int
	tls  *tls.Config // nil: none
	dial rotation.DialFunc
}

// newEndpoint judges the settings of a server.
func newEndpoint(host string, port int, mode, ca string, dial rotation.DialFunc) (endpoint, error) {
	e := endpoint{host: host, port: port, dial: dial}
	var faults []error
	if host == "" || !plain(host) || strings.ContainsAny(host, " /@,?#[]") {
		faults = append(faults, fmt.Errorf("parameter host: %q is neither a name nor an address", host))
	}
	if port < 1 || port > 65535 {
		faults = append(faults, fmt.Errorf("parameter port: %d is not 1 to 65535", port))
	}
	switch mode {
	case tlsVerify:
		e.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		if ca != "" {
			e.tls.RootCAs = x509.NewCertPool()
			if !e.tls.RootCAs.AppendCertsFromPEM([]byte(ca)) {
				faults = append(faults, errors.New("parameter ca: no certificate in PEM form"))
			}
		}
	case tlsOff:
		if ca != "" {
			faults = append(faults, errors.New("parameter ca: of no use without tls"))
		}
	default:
		faults = append(faults, fmt.Errorf("parameter tls: %q is neither %s nor %s", mode, tlsVerify, tlsOff))
	}
	return e, errors.Join(faults...)
}

func (e endpoint) address() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// connect opens a connection, whose reads and writes end with ctx.
func (e endpoint) connect(ctx context.Context) (net.Conn, error) {
	conn, err := e.dial(ctx, "tcp", e.address())
	if err != nil {
		return nil, e.fault(err)
	}
	if e.tls != nil {
		secured := tls.Client(conn, e.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, e.fault(err)
		}
		conn = secured
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return conn, nil
}

// fault tells of what went wrong on the way to the server. It is ambiguous, but for a certificate that is not trusted:
// that does not pass.
func (e endpoint) fault(err error) error {
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return fmt.Errorf("%w: the certificate of %s: %w", secret.ErrPermanent, e.address(), err)
	}
	return fmt.Errorf("speak to %s: %w", e.address(), err)
}

// answer is what an error code of a server means.
type answer struct {
	is   error // a sentinel; nil: it may pass
	says string
}

// fault is the error for an answer of this code.
func (a answer) fault(code string) error {
	switch {
	case a.says == "":
		return fmt.Errorf("the server answers %s", code)
	case a.is == nil:
		return fmt.Errorf("the server answers %s, %s", code, a.says)
	}
	return fmt.Errorf("%w: the server answers %s, %s", a.is, code, a.says)
}
