package rotators

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readReply(text string) (reply, error) {
	r := replyReader{in: bufio.NewReader(strings.NewReader(text)), bytes: maxReplyBytes, items: maxReplyItems}
	return r.read(0)
}

func TestReply(t *testing.T) {
	for text, want := range map[string]reply{
		"+OK\r\n":                  {text: "OK"},
		":42\r\n":                  {text: "42"},
		"$0\r\n\r\n":               {},
		"$6\r\nab\r\ncd\r\n":       {text: "ab\r\ncd"},
		"$-1\r\n":                  {none: true},
		"*-1\r\n":                  {none: true},
		"*0\r\n":                   {},
		"*2\r\n+a\r\n*1\r\n:1\r\n": {list: []reply{{text: "a"}, {list: []reply{{text: "1"}}}}},
	} {
		got, err := readReply(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(reply{})); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func TestReplyThatIsNone(t *testing.T) {
	for _, text := range []string{
		"", "\r\n", "+OK\n", "+OK", "HTTP/1.1 200 OK\r\n", "$x\r\n", "$-2\r\n", "$5\r\nab\r\n", "$2\r\nabcd", "$99999999999\r\n", "$1048577\r\n", "*99999\r\n",
		"*1\r\n", strings.Repeat("*1\r\n", 10) + "+a\r\n", "+" + strings.Repeat("a", 5000) + "\r\n", "_\r\n",
	} {
		if got, err := readReply(text); err == nil {
			t.Errorf("%.20q is taken for %+v", text, got)
		}
	}
}

// TestReplyOfAnError keeps its first word, if that looks like one.
func TestReplyOfAnError(t *testing.T) {
	for text, want := range map[string]redisError{
		"-WRONGPASS invalid username-password pair\r\n": "WRONGPASS",
		"-ERR unknown command 'hunter2'\r\n":            "ERR",
		"-hunter2\r\n":                                  "an error",
		"-\r\n":                                         "an error",
	} {
		var got redisError
		if _, err := readReply(text); !errors.As(err, &got) || got != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, text := range []string{"+OK\r\n", "*2\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n", "-ERR no\r\n", "$-1\r\n", ":1\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readReply(text)
		if err == nil && len(got.text) > len(text) {
			t.Errorf("%d bytes out of %d", len(got.text), len(text))
		}
	})
}
