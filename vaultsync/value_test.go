package vaultsync

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/secret"
)

func fields(kv ...string) Fields {
	f := Fields{}
	for i := 0; i < len(kv); i += 2 {
		f[kv[i]] = secret.New(kv[i+1])
	}
	return f
}

func TestRender(t *testing.T) {
	pfx := base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x82, 0x09, 0x4f, 0x02, 0x01, 0x03, 0x30}, make([]byte, 40)...))
	for _, c := range []struct {
		what   string
		fields Fields
		shape  Shape
		pem    bool
		want   string // value
		typ    string
		field  string
		fault  Reason
	}{
		{what: "one string, byte for byte", fields: fields("password", `"p@ss\r\n\u00e9 \u003c&\u2028"`), want: "p@ss\r\né <&\u2028", typ: contentText, field: "password"},
		{what: "a trailing newline stays", fields: fields("key", `"a\n"`), want: "a\n", typ: contentText, field: "key"},
		{what: "one number keeps its text", fields: fields("n", `1.10`), want: "1.10", typ: contentText, field: "n"},
		{what: "a number no float holds", fields: fields("n", `12345678901234567890`), want: "12345678901234567890", typ: contentText, field: "n"},
		{what: "exponents as Vault sent them", fields: fields("n", `1e3`), want: "1e3", typ: contentText, field: "n"},
		{what: "one bool", fields: fields("on", `true`), want: "true", typ: contentText, field: "on"},
		{what: "one nested object, compact and sorted", fields: fields("o", `{ "b" : [1, 2.0], "a" : {"z":null} }`), want: `{"a":{"z":null},"b":[1,2.0]}`, typ: contentText, field: "o"},
		{what: "several fields, sorted, no HTML escaping", fields: fields("user", `"a&b<c>"`, "password", `"x"`, "port", `5432`), want: `{"password":"x","port":5432,"user":"a&b<c>"}`, typ: contentJSON},
		{what: "as json, one field", shape: ShapeJSON, fields: fields("password", `"x"`), want: `{"password":"x"}`, typ: contentJSON},
		{what: "as value, one field", shape: ShapeValue, fields: fields("password", `"x"`), want: `x`, typ: contentText, field: "password"},
		{what: "as value, several fields", shape: ShapeValue, fields: fields("a", `1`, "b", `2`), fault: ReasonSeveralFields},
		{what: "a field without a name stays an object", fields: fields("", `"x"`), want: `{"":"x"}`, typ: contentJSON},
		{what: "no fields", fields: Fields{}, fault: ReasonEmpty},
		{what: "null was written", fields: nil, fault: ReasonEmpty},
		{what: "empty string", fields: fields("p", `""`), fault: ReasonEmpty},
		{what: "a null field", fields: fields("p", `null`), fault: ReasonEmpty},
		{what: "the largest value", fields: fields("p", `"`+strings.Repeat("x", 25600)+`"`), want: strings.Repeat("x", 25600), typ: contentText, field: "p"},
		{what: "one byte more, counted in UTF-8", fields: fields("p", `"`+strings.Repeat("x", 25599)+`é"`), fault: ReasonTooLarge},
		{what: "PEM certificate", fields: fields("p", `"-----BEGIN CERTIFICATE-----\nMIIB"`), fault: ReasonCertificate},
		{what: "PFX in base64", fields: fields("p", `"`+pfx+`"`), fault: ReasonCertificate},
		{what: "PEM where the rule allows it", pem: true, fields: fields("p", `"-----BEGIN CERTIFICATE-----"`), want: "-----BEGIN CERTIFICATE-----", typ: contentText, field: "p"},
		{what: "a private key alone is a secret like any other", fields: fields("p", `"-----BEGIN PRIVATE KEY-----"`), want: "-----BEGIN PRIVATE KEY-----", typ: contentText, field: "p"},
	} {
		t.Run(c.what, func(t *testing.T) {
			r, err := render(c.fields, c.shape, c.pem)
			if err != nil || r.fault != c.fault {
				t.Fatalf("fault %q, error %v; want fault %q", r.fault, err, c.fault)
			}
			if c.fault != "" {
				return
			}
			if got := r.value.Reveal(); got != c.want || r.contentType != c.typ || r.field != c.field {
				t.Errorf("got  %q %s field %q\nwant %q %s field %q", got, r.contentType, r.field, c.want, c.typ, c.field)
			}
		})
	}
}

func TestRenderRefusesWhatIsNotJSON(t *testing.T) {
	for _, f := range []Fields{fields("a", `hunter2`), fields("a", `"hunter2`), fields("a", `hunter2`, "b", `1`)} {
		_, err := render(f, ShapeAuto, false)
		if !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("got %v, want secret.ErrInvalid", err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the value: %v", err)
		}
	}
}
