package keyvault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"
)

// bundle is every secret on the wire. The order of its fields is the service's; what an answer does not carry is left out, never
// null.
type bundle struct {
	RecoveryID         string     `json:"recoveryId,omitempty"`
	DeletedDate        int64      `json:"deletedDate,omitempty"`
	ScheduledPurgeDate int64      `json:"scheduledPurgeDate,omitempty"`
	Value              *string    `json:"value,omitempty"`
	ContentType        *string    `json:"contentType,omitempty"`
	ID                 string     `json:"id"`
	Managed            bool       `json:"managed,omitempty"`
	Attributes         attributes `json:"attributes"`
	Tags               tags       `json:"tags,omitempty"`
	KID                string     `json:"kid,omitempty"`
}

type attributes struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel"`
	RecoverableDays int    `json:"recoverableDays,omitempty"`
}

type page struct {
	Value    []bundle `json:"value"`
	NextLink *string  `json:"nextLink"`
}

// show is what an answer tells of a secret beyond its attributes, tags and content type.
type show int

const (
	showVersion  show = 1 << iota // the id names the version
	showValue                     // value and kid
	showDeletion                  // recovery id and dates
)

func (v *Vault) bundle(c *call, r *record, ver *version, s show) bundle {
	b := bundle{
		ContentType: ver.contentType,
		ID:          secretID(c.host, r.name, ""),
		Managed:     r.managed,
		Tags:        ver.tags,
		Attributes: attributes{
			Enabled: ver.enabled, NotBefore: ver.nbf, Expires: ver.exp, Created: ver.created, Updated: ver.updated,
			RecoveryLevel: v.recoveryLevel(), RecoverableDays: v.opts.RecoverableDays,
		},
	}
	if c.api == "7.0" && !v.opts.February2020 {
		b.Attributes.RecoverableDays = 0
	}
	if s&showVersion != 0 {
		b.ID = secretID(c.host, r.name, ver.id)
	}
	if s&showValue != 0 {
		b.Value, b.KID = &ver.value, r.kid
	}
	if s&showDeletion != 0 {
		b.RecoveryID = "https://" + c.host + "/deletedsecrets/" + r.name
		b.DeletedDate = r.deleted.Unix()
		b.ScheduledPurgeDate = r.scheduledPurge(v.opts.RecoverableDays).Unix()
	}
	return b
}

func secretID(host, name, version string) string {
	id := "https://" + host + "/secrets/" + name
	if version != "" {
		id += "/" + version
	}
	return id
}

func (v *Vault) recoveryLevel() string {
	level := "Recoverable"
	if v.opts.RecoverableDays < 90 {
		level = "CustomizedRecoverable"
	}
	if !v.opts.PurgeProtection {
		level += "+Purgeable"
	}
	return level
}

// stamp sets the headers every answer of the service has.
func (v *Vault) stamp(h http.Header, r *http.Request, now time.Time) {
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("x-ms-keyvault-region", "westeurope")
	h.Set("x-ms-keyvault-service-version", "emulator")
	h.Set("x-ms-keyvault-network-info", "conn_type=Ipv4;addr=192.0.2.1;act_addr_fam=InterNetwork;")
	h.Set("x-ms-request-id", fmt.Sprintf("00000000-0000-4000-8000-%012x", v.requests.Add(1)))
	if id := r.Header.Get("x-ms-client-request-id"); id != "" {
		h.Set("x-ms-client-request-id", id)
	}
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// maxBody holds the longest value with every byte escaped, and the most tags beside it.
const maxBody = 512 << 10

func readBody(r *http.Request) ([]byte, *Fault) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, wrongContentType()
	}
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case len(body) > maxBody:
		return nil, bodyTooLarge()
	case err != nil || !utf8.Valid(body):
		return nil, invalidProperty("body")
	}
	return body, nil
}

// decode reads exactly one JSON object whose properties are all known; that unknown ones are refused is stricter than the
// service is known to be.
func decode(body []byte, into any) *Fault {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return invalidProperty("body") // null would decode into anything
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return invalidProperty(typ.Field)
		}
		return invalidProperty("body")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalidProperty("body")
	}
	return nil
}
