package secret

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// NoAnswer says in our words why a call over the network ended without an answer: the words of net and net/http hold
// addresses and URLs. passing reports whether another try within seconds may fare better; a certificate does not mend by
// itself. Ask first whether your own context ended.
func NoAnswer(err error) (why string, passing bool) {
	var (
		dns         *net.DNSError
		unknown     x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &unknown):
		return "no trusted authority signed the server's certificate: set caCert", false
	case errors.As(err, &host):
		return "the server's certificate is for another host", false
	case errors.As(err, &invalid):
		return "the server's certificate is not valid now, or not for a server", false
	case errors.As(err, &certificate):
		return "the server's certificate is not trusted", false
	case errors.As(err, &record):
		return "the server does not speak TLS", false
	case errors.As(err, &timeout) && timeout.Timeout(), errors.As(err, &dns) && dns.IsTimeout,
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time", true
	case errors.As(err, &dns):
		return "the host name is not known", true
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused", true
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was lost", true
	}
	return "the connection failed", true
}
