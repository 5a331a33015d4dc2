package keyvault

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const (
	maxPage     = 25
	defaultPage = 25
)

// paging reads $skiptoken and maxresults. A token names the first item of its page, within the scope it was made for; items are
// compared in the case the list is ordered by.
func (c *call) paging(scope string) (from string, size int, f *Fault) {
	size = defaultPage
	if c.query.Has("maxresults") {
		n, err := strconv.Atoi(c.query.Get("maxresults"))
		if err != nil || n < 1 || n > maxPage {
			return "", 0, invalidProperty("maxresults")
		}
		size = n
	}
	if !c.query.Has("$skiptoken") {
		return "", size, nil
	}
	item, ok := decodeSkipToken(c.query.Get("$skiptoken"))
	from, inScope := strings.CutPrefix(item, scope)
	if !ok || !inScope {
		return "", 0, invalidProperty("$skiptoken")
	}
	if scope != recordScope {
		from = strings.ToLower(from) // version ids are stored upper-cased and listed lower-cased
	}
	return from, size, nil
}

// recordScope is the scope of tokens that name a secret; those that name a version have the secret's key behind it.
const recordScope = "secret/"

// nextLink is absolute and looks as the service's: its port written out, the $ unescaped, the page's size last. No next item, no link.
func (c *call) nextLink(scope, next string, size int) *string {
	if next == "" {
		return nil
	}
	link := fmt.Sprintf("%s%s?api-version=%s&$skiptoken=%s&maxresults=%d",
		c.base, c.path, c.api, encodeSkipToken(scope+strings.ToUpper(next)), size)
	return &link
}

// skipToken is the JSON inside a token: a storage marker of the item the next page begins with. What the service writes was read
// from its recorded tokens.
type skipToken struct {
	NextMarker     string
	TargetLocation int
}

const markerEnd = "!000028!9999-12-31T23:59:59.9999999Z!"

// markerEncoding is base64 with - for padding.
var markerEncoding = base64.StdEncoding.WithPadding('-')

func encodeSkipToken(item string) string {
	marker := markerEncoding.EncodeToString(fmt.Appendf(nil, "%06d!%s%s", len(item), item, markerEnd))
	raw, err := json.Marshal(skipToken{NextMarker: fmt.Sprintf("2!%d!%s", len(marker), marker)})
	if err != nil {
		panic(err) // a string and a number
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func decodeSkipToken(token string) (item string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	var t skipToken
	if json.Unmarshal(raw, &t) != nil {
		return "", false
	}
	parts := strings.SplitN(t.NextMarker, "!", 3)
	if len(parts) != 3 {
		return "", false
	}
	marker, err := markerEncoding.DecodeString(parts[2])
	if err != nil {
		return "", false
	}
	body, ended := strings.CutSuffix(string(marker), markerEnd)
	_, item, found := strings.Cut(body, "!")
	// Only what we would have written ourselves is a token.
	return item, ended && found && encodeSkipToken(item) == token
}
