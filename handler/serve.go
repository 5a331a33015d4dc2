package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// PortSetting is the variable by which the host hands over the port.
const PortSetting = "FUNCTIONS_CUSTOMHANDLER_PORT"

// Listen opens the port the host handed over, on loopback only: whoever reaches it may invoke everything. Call it before
// anything that may wait, for the host gives up after 30 s. A bad port wraps secret.ErrUsage.
func Listen(port string) (net.Listener, error) {
	if port == "" {
		return nil, fmt.Errorf("%s is not set; serve is started by the Functions host: %w", PortSetting, secret.ErrUsage)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%s is not a port number: %w", PortSetting, secret.ErrUsage)
	}
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, fmt.Errorf("listen on port %s: %w", port, err)
	}
	return l, nil
}

// grace is how long requests in flight may go on after ctx ended. The real host leaves none; docker stop leaves ten seconds.
const grace = 8 * time.Second

// Serve answers the host until ctx ends, and then returns nil. In every other case the error is not nil, so that the process
// can leave with a code other than 0: the host restarts no handler that left with 0. Nothing is written to stderr.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the host keeps a pooled connection, or a request may race with our closing it. No WriteTimeout: the
		// deadline of each trigger stands in its context.
		IdleTimeout: 10 * time.Minute,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return errors.Join(errors.New("the server ended by itself"), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		log.Warn("requests cut off at shutdown")
		_ = server.Close() // ends the contexts of what is still at work; there is nobody left to tell
	}
	<-ended
	return nil
}
