package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// versions answers delete/, undelete/ and destroy/<key>. A key that is not
// there is no error.
func (c *call) versions(endpoint, key string) *answer {
	if c.req.op != update {
		return unsupported()
	}
	numbers, refusal := c.numbers()
	if refusal != nil {
		return refusal
	}
	if len(numbers) == 0 {
		text := "No version number provided"
		if endpoint == "destroy" {
			text = "no version number provided"
		}
		return failed(http.StatusBadRequest, text)
	}
	k, ok := c.mount.v2.get(key)
	if !ok {
		return done()
	}
	switch endpoint {
	case "delete":
		c.softDelete(k, numbers, "update", false)
	case "undelete":
		for _, n := range numbers {
			if v := k.version(n); v != nil && !v.destroyed {
				v.deletion, v.deletedBy = k.deletionOf(c.now(), c.mount.config), nil
			}
		}
		k.updatedBy = c.by("undelete")
	case "destroy":
		for _, n := range numbers {
			if v := k.version(n); v != nil {
				v.destroyed, v.data = true, nil
			}
		}
	}
	return done()
}

// numbers reads versions: a list of numbers or of texts, or one text with commas.
func (c *call) numbers() ([]uint64, *answer) {
	var texts []string
	switch versions := c.req.fields["versions"].(type) {
	case string:
		texts = strings.Split(versions, ",")
	case json.Number:
		texts = []string{versions.String()}
	case []any:
		for _, v := range versions {
			texts = append(texts, fmt.Sprint(v))
		}
	}
	var numbers []uint64
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, failed(http.StatusBadRequest, fmt.Sprintf(
				"Field validation failed: error converting input for field %q: 1 error(s) decoding:\n\n* cannot parse '[%d]' as int: %v", "versions", i, err))
		}
		numbers = append(numbers, uint64(max(n, 0)))
	}
	return numbers, nil
}

// softDelete sets the deletion_time of versions that are still readable. A
// DELETE that finds nothing to do leaves the metadata as it is.
func (c *call) softDelete(k *secret, numbers []uint64, operation string, quiet bool) {
	by, changed := c.by(operation), false
	for _, n := range numbers {
		v := k.version(n)
		if v == nil || v.destroyed || v.deleted(c.now()) {
			continue
		}
		v.deletion, v.deletedBy, changed = c.now(), by, true
	}
	if changed || !quiet {
		k.updatedBy = by
	}
}

// by is the attribution of the one who asks. Only the operation tells two
// requests with one token apart.
func (c *call) by(operation string) *attribution {
	return &attribution{Actor: c.req.token.name, Operation: operation, EntityID: c.req.token.entity, ClientID: "emulator"}
}
