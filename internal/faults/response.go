package faults

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// buffered is how much of an answer a server holds back to learn its length.
const buffered = 2048

// A response is the ResponseWriter of Transport. The handler's goroutine writes
// it; the client reads answer once headed is closed.
type response struct {
	request *http.Request
	headed  chan struct{}
	answer  *http.Response
	reset   bool // the handler gave up before the head was sent

	header   http.Header // the handler's to change
	fixed    http.Header // as it was when the status was set
	status   int
	held     []byte // written and not yet sent
	sent     bool   // the head is out
	whole    bool   // the body is in held
	declared int64  // Content-Length by the handler, -1 without
	written  int64
	writer   *io.PipeWriter
	body     *answerBody
}

func newResponse(req *http.Request, cancel context.CancelFunc) *response {
	w := &response{request: req, headed: make(chan struct{}), header: http.Header{}, declared: -1}
	reader, writer := io.Pipe()
	w.writer, w.body = writer, &answerBody{PipeReader: reader, cancel: cancel}
	w.body.stop = context.AfterFunc(req.Context(), func() { w.abandon(context.Cause(req.Context())) })
	return w
}

// Header returns the header that the head will have; changes after the status
// was set do not count.
func (w *response) Header() http.Header { return w.header }

// WriteHeader fixes status and header; only the first call counts.
// Informational answers are dropped.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status >= 100 && status < 200 {
		return
	}
	w.status = status
	w.fixed = w.header.Clone()
	if n, err := strconv.ParseInt(w.fixed.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.declared = n
	}
}

// Write holds a little back, then streams: it blocks until the client reads.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if w.declared >= 0 && w.written+int64(len(b)) > w.declared {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(b))
	if !w.sent && len(w.held)+len(b) <= buffered {
		w.held = append(w.held, b...)
		return len(b), nil
	}
	w.sniff(append(w.held, b...))
	w.Flush()
	if !w.bodyAllowed() {
		return len(b), nil
	}
	return w.writer.Write(b)
}

func (w *response) bodyAllowed() bool {
	return w.request.Method != http.MethodHead && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// Flush sends the head and what was held back.
func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.head(-1)
	held := w.held
	w.held = nil
	if len(held) > 0 && w.bodyAllowed() {
		_, _ = w.writer.Write(held)
	}
}

// sniff names the content type when the handler did not.
func (w *response) sniff(start []byte) {
	if !w.sent && len(start) > 0 && w.fixed.Get("Content-Type") == "" {
		w.fixed.Set("Content-Type", http.DetectContentType(start))
	}
}

// head sends the head once. total is the length of the whole body, -1 unknown.
func (w *response) head(total int64) {
	if w.sent {
		return
	}
	w.sniff(w.held)
	w.sent = true
	length := w.declared
	if length < 0 {
		length = total
	}
	w.answer = &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.fixed, Body: w.body,
		ContentLength: length, Request: w.request,
	}
	switch {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		w.answer.ContentLength = 0
	case length >= 0 && (length > 0 || w.bodyAllowed()):
		w.fixed.Set("Content-Length", strconv.FormatInt(length, 10))
	case length < 0 && w.bodyAllowed():
		w.answer.TransferEncoding = []string{"chunked"}
	}
	if w.whole { // nothing is to come: the client may leave it unread
		w.answer.Body = http.NoBody
		if w.bodyAllowed() {
			w.answer.Body = io.NopCloser(bytes.NewReader(w.held))
		}
	}
	close(w.headed)
}

// finish ends the answer after the handler. aborted means that it gave up.
func (w *response) finish(aborted bool) {
	switch {
	case aborted && !w.sent:
		w.reset = true
		close(w.headed)
	case w.sent && w.request.Context().Err() != nil:
		w.abandon(context.Cause(w.request.Context()))
	case aborted:
		_ = w.writer.CloseWithError(io.ErrUnexpectedEOF)
	case w.bodyAllowed() && w.written < w.declared:
		w.Flush()
		_ = w.writer.CloseWithError(io.ErrUnexpectedEOF)
	case w.sent:
		_ = w.writer.Close()
	default:
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		w.body.release()
		w.whole = true
		w.head(w.written)
	}
}

// abandon ends the body for both sides with an error: the client gave up.
func (w *response) abandon(err error) { _ = w.writer.CloseWithError(err) }

// answerBody is the body the client reads. Closing it, or reading it to its
// end, frees the exchange.
type answerBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	stop   func() bool
	once   sync.Once
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *answerBody) release() { b.once.Do(func() { b.stop() }) }

// Close tells the handler that nobody reads on.
func (b *answerBody) Close() error {
	b.release()
	b.cancel()
	return b.PipeReader.Close()
}
