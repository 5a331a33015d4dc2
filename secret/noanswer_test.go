package secret_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

func TestNoAnswerIsToldInOurWords(t *testing.T) {
	for what, c := range map[string]struct {
		err     error
		why     string
		passing bool
	}{
		"no such name": {&net.DNSError{Err: "no such host", Name: "kv1.example", IsNotFound: true}, "the host name is not known", true},
		"slow name":    {&net.DNSError{Err: "i/o timeout", Name: "kv1.example", IsTimeout: true}, "no answer in time", true},
		"refused":      {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "the connection was refused", true},
		"reset":        {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "the connection was lost", true},
		"cut off":      {io.ErrUnexpectedEOF, "the connection was lost", true},
		"late":         {context.DeadlineExceeded, "no answer in time", true},
		"unknown root": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "no trusted authority signed the server's certificate: set caCert", false},
		"other host":   {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "kv1.example"}, "the server's certificate is for another host", false},
		"expired":      {x509.CertificateInvalidError{Reason: x509.Expired}, "the server's certificate is not valid now, or not for a server", false},
		"some other":   {&tls.CertificateVerificationError{Err: errors.New("kv1.example")}, "the server's certificate is not trusted", false},
		"no TLS":       {tls.RecordHeaderError{Msg: "kv1.example"}, "the server does not speak TLS", false},
		"anything":     {errors.New("dial 10.0.0.1:443"), "the connection failed", true},
	} {
		t.Run(what, func(t *testing.T) {
			err := &url.Error{Op: "Get", URL: "https://kv1.example/?sig=fake", Err: fmt.Errorf("wrapped: %w", c.err)}
			why, passing := secret.NoAnswer(err)
			if why != c.why || passing != c.passing {
				t.Errorf("%q, %v; want %q, %v", why, passing, c.why, c.passing)
			}
			if strings.Contains(why, "kv1") {
				t.Errorf("%q repeats what came from the network", why)
			}
		})
	}
}
