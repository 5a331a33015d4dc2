package rotators

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// redisConn speaks RESP2, the protocol of Redis (redis.io, "RESP protocol spec"), one command after the other. Five
// commands need no client library, and the usual one retries by itself and logs to standard error.
type redisConn struct {
	net.Conn
	in *bufio.Reader
}

// reply is what a command answers: a text (numbers and statuses too), a list, or nothing.
type reply struct {
	text string
	list []reply
	none bool
}

// redisError is the first word of an error that Redis answers.
type redisError string

func (e redisError) Error() string { return "the server answers " + string(e) }

// What a reply may be at most; ACL GETUSER is some kilobytes, as three levels of lists.
const (
	maxReplyBytes = 1 << 20
	maxReplyItems = 1 << 14
	maxReplyDepth = 4
)

var errReply = errors.New("the server does not answer as Redis does")

// do sends a command and reads the answer. Whatever fails, the text of it holds neither the command nor the answer.
func (c *redisConn) do(ctx context.Context, command ...string) (reply, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	_, err := io.WriteString(c.Conn, b.String())
	if err != nil {
		return reply{}, errors.Join(ctx.Err(), err)
	}
	r := replyReader{in: c.in, bytes: maxReplyBytes, items: maxReplyItems}
	answer, err := r.read(0)
	if err != nil && ctx.Err() != nil {
		return reply{}, errors.Join(ctx.Err(), err)
	}
	return answer, err
}

// replyReader reads one reply within its limits.
type replyReader struct {
	in    *bufio.Reader
	bytes int
	items int
}

func (r *replyReader) read(depth int) (reply, error) {
	line, err := r.line()
	if err != nil {
		return reply{}, err
	}
	if r.items--; r.items < 0 || depth > maxReplyDepth || line == "" {
		return reply{}, errReply
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return reply{text: rest}, nil
	case '-':
		word, _, _ := strings.Cut(rest, " ")
		return reply{}, redisError(printable(word))
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil || n < -1 || kind != '$' && kind != '*':
		return reply{}, errReply
	case n == -1:
		return reply{none: true}, nil
	case kind == '$':
		return r.bulk(n)
	}
	var list []reply
	for range n {
		item, err := r.read(depth + 1)
		if err != nil {
			return reply{}, err
		}
		list = append(list, item)
	}
	return reply{list: list}, nil
}

// line reads up to CRLF, which stays out.
func (r *replyReader) line() (string, error) {
	line, err := r.in.ReadSlice('\n') // at most what the reader buffers
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errReply
	}
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	text, found := strings.CutSuffix(string(line), "\r\n")
	if r.bytes -= len(line); r.bytes < 0 || !found {
		return "", errReply
	}
	return text, nil
}

func (r *replyReader) bulk(n int) (reply, error) {
	if r.bytes -= n; r.bytes < 0 {
		return reply{}, errReply
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(r.in, text); err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	if string(text[n:]) != "\r\n" {
		return reply{}, errReply
	}
	return reply{text: string(text[:n])}, nil
}

// printable is a word of the server's for an error: short, and of capitals only.
func printable(word string) string {
	if word == "" || len(word) > 20 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "an error"
	}
	return word
}
