package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/keyferry/keyferry/internal/emulator/identity"
	emulator "github.com/keyferry/keyferry/internal/emulator/keyvault"
	"github.com/keyferry/keyferry/internal/faults"
)

// serveFar is the process behind a far: it reads its order, says where it
// listens, and ends with its input.
func serveFar(in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	road, err := faults.Proxy(o.Vault)
	if err != nil {
		return err
	}
	ids, err := identity.New(identity.Options{})
	if err != nil {
		return err
	}
	keys := emulator.New(emulator.Options{CreateLimit: o.Distance.Creates})
	vault, keyVault := &counted{next: delayed(road, o.Distance.Vault)}, &counted{next: delayed(keys, o.Distance.KeyVault)}
	counts := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(counts{
			Vault: int(vault.calls.Swap(0)), KeyVault: int(keyVault.calls.Swap(0)), Throttled: int(keyVault.throttled.Swap(0)),
		})
	})
	pair, roots, err := selfSigned()
	if err != nil {
		return err
	}
	p := places{Roots: roots}
	for _, s := range []struct {
		at      *string
		handler http.Handler
		pair    *tls.Certificate
	}{{&p.Vault, vault, nil}, {&p.KeyVault, keyVault, &pair}, {&p.Identity, ids, nil}, {&p.Counts, counts, nil}} {
		if *s.at, err = listen(s.handler, s.pair); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(out).Encode(p); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in)
	return nil
}

// delayed adds a round trip.
func delayed(h http.Handler, d time.Duration) http.Handler {
	if d == 0 {
		return h
	}
	return faults.Wrap(h, nil, faults.Rule{Name: "distance", Do: faults.Delay(d, sleep)})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// counted counts calls, and those answered 429.
type counted struct {
	next             http.Handler
	calls, throttled atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(1)
	c.next.ServeHTTP(watched{w, c}, r)
}

type watched struct {
	http.ResponseWriter
	to *counted
}

func (w watched) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		w.to.throttled.Add(1)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a proxy flush.
func (w watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// listen serves h on a free loopback port, by HTTP/1.1, with TLS when there is a
// certificate. It ends with the process.
func listen(h http.Handler, pair *tls.Certificate) (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	if pair == nil {
		go func() { _ = server.Serve(l) }()
		return "http://" + l.Addr().String(), nil
	}
	conf := &tls.Config{Certificates: []tls.Certificate{*pair}, MinVersion: tls.VersionTLS12}
	go func() { _ = server.Serve(tls.NewListener(l, conf)) }()
	return "https://" + l.Addr().String(), nil
}

// selfSigned makes a certificate for 127.0.0.1, and its PEM for those who are to
// trust it.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}
