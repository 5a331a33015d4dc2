package faults

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// Proxy passes every request on to the server at base, with its method, path as
// written, query, header and body, and the answer back as it comes. When the
// server does not answer the connection is dropped. Redirects are the client's
// to follow. The Host header becomes that of base.
func Proxy(base string) (http.Handler, error) {
	target, err := url.Parse(base)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("proxy to %q: not an absolute URL", base)
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}, nil
}
