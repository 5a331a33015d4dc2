package vaultsync_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// sample is a JSON value as it is written to Vault, and what has to arrive: bare is its text alone, text its text
// inside an object. Version 2 rounds numbers to what a float64 holds (facts/vault-sync.md A5); bare2 and text2 are
// set where that shows.
type sample struct{ json, bare, text, bare2, text2 string }

// samples are written by hand, so that the expectation shares no code with what it judges.
var samples = []sample{
	{json: `"plain"`, bare: `plain`, text: `"plain"`},
	{json: `"a < b & c > d"`, bare: `a < b & c > d`, text: `"a < b & c > d"`},
	{json: `"\u003cescaped\u003e"`, bare: `<escaped>`, text: `"<escaped>"`},
	{json: `"line\nend\r\n"`, bare: "line\nend\r\n", text: `"line\nend\r\n"`},
	{json: `"  spaces  "`, bare: `  spaces  `, text: `"  spaces  "`},
	{json: `"back\\slash \"quoted\" \/"`, bare: `back\slash "quoted" /`, text: `"back\\slash \"quoted\" /"`},
	{json: `"tab\t and \u0001"`, bare: "tab\t and \x01", text: `"tab\t and \u0001"`},
	{json: `"é 日本 🔑 \ud83d\udd11"`, bare: "é 日本 🔑 🔑", text: `"é 日本 🔑 🔑"`},
	{json: `"e\u0301 \u2028 \u00a0"`, bare: "e\u0301 \u2028 \u00a0", text: "\"e\u0301 \\u2028 \u00a0\""},
	{json: `"{\"json\": \"inside\"}"`, bare: `{"json": "inside"}`, text: `"{\"json\": \"inside\"}"`},
	{json: `"true"`, bare: `true`, text: `"true"`},
	{json: `true`, bare: `true`, text: `true`},
	{json: `false`, bare: `false`, text: `false`},
	{json: `0`, bare: `0`, text: `0`},
	{json: `-17`, bare: `-17`, text: `-17`},
	{json: `5432`, bare: `5432`, text: `5432`},
	{json: `1.10`, bare: `1.10`, text: `1.10`, bare2: `1.1`, text2: `1.1`},
	{json: `1.0`, bare: `1.0`, text: `1.0`, bare2: `1`, text2: `1`},
	{json: `1e3`, bare: `1e3`, text: `1e3`, bare2: `1000`, text2: `1000`},
	{json: `9007199254740993`, bare: `9007199254740993`, text: `9007199254740993`, bare2: `9007199254740992`, text2: `9007199254740992`},
	{json: `12345678901234567890`, bare: `12345678901234567890`, text: `12345678901234567890`, bare2: `12345678901234567000`, text2: `12345678901234567000`},
	{json: `0.1`, bare: `0.1`, text: `0.1`},
	{json: `[]`, bare: `[]`, text: `[]`},
	{json: `{}`, bare: `{}`, text: `{}`},
	{json: `[ 1, "two", null, { "z" : 1, "a" : [ true ] } ]`, bare: `[1,"two",null,{"a":[true],"z":1}]`, text: `[1,"two",null,{"a":[true],"z":1}]`},
	{json: `{ "b": {"y": "<&>", "x": "é"}, "a": [ [], {} ], "": 0 }`, bare: `{"":0,"a":[[],{}],"b":{"x":"é","y":"<&>"}}`, text: `{"":0,"a":[[],{}],"b":{"x":"é","y":"<&>"}}`},
	{json: `{"n": 9007199254740993}`, bare: `{"n":9007199254740993}`, text: `{"n":9007199254740993}`, bare2: `{"n":9007199254740992}`, text2: `{"n":9007199254740992}`},
}

func (s sample) arrives(version int, inside bool) string {
	switch {
	case version == 2 && s.text2 != "" && inside:
		return s.text2
	case version == 2 && s.bare2 != "":
		return s.bare2
	case inside:
		return s.text
	}
	return s.bare
}

// expected is what has to become of one secret of the estate.
type expected struct {
	source, name string
	version      int           // of KV
	line         string        // "verb reason"
	value, typ   string        // in Key Vault; "" when it must not be there
	expires      time.Duration // from now, by Vault's deletion time; 0: by the rule
}

// folders hold what paths may be made of: all that Vault takes (facts/vault-sync.md A6), and what a glob or a URL
// would trip over.
var folders = []string{
	"app/prod", "team 7/two  words", "50%/a%2Fb", "ünï/日本語", "q?x#y", "plus+star*", "semi;colon:at@", "amp&=$,", `back\slash`,
	"_x/.hidden", "brackets[0]/{a,b}", "data/metadata", "UPPER/Case", "dot.", "~tilde'\"quote", "deep/er/and/deep/er/still",
}

// plainName is the rule of names, said in another way than the code says it.
func plainName(path string) string {
	return strings.Trim(regexp.MustCompile(`[^0-9A-Za-z]+`).ReplaceAllString(path, "-"), "-")
}

// seedEstate writes 500 secrets in every state and shape and returns what is to become of each.
func seedEstate(one, two mount) []expected {
	random := rand.New(rand.NewPCG(21, 500))
	var all []expected
	add := func(m mount, path, line string) *expected {
		all = append(all, expected{source: m.path + "/" + path, name: plainName(path), version: m.version, line: line})
		return &all[len(all)-1]
	}
	live := func(m mount, path string, fields int) *expected {
		body, value, typ := secretOf(random, m.version, fields)
		m.put(path, body)
		e := add(m, path, "create new")
		e.value, e.typ = value, typ
		return e
	}
	n := 0
	path := func(kind string) string {
		n++
		return fmt.Sprintf("%s/%s %d", folders[n%len(folders)], kind, n)
	}
	for _, m := range []mount{one, two} {
		for i := range 190 {
			live(m, path("live"), 1+i%4)
		}
		for range 10 { // a name that is both folder and secret
			p := path("both")
			live(m, p, 1)
			live(m, p+"/child", 2)
		}
		for _, empty := range []string{`{"a":""}`, `{"a":null}`} {
			p := path("empty")
			m.put(p, empty)
			add(m, p, "skip empty")
		}
		for range 2 {
			p := path("large")
			m.put(p, `{"a":"`+strings.Repeat("é", 12801)+`"}`)
			add(m, p, "conflict too-large")
			p = path("largest")
			m.put(p, `{"a":"`+strings.Repeat("é", 12800)+`"}`)
			e := add(m, p, "create new")
			e.value, e.typ = strings.Repeat("é", 12800), "text/plain"
			p = path("pem")
			m.put(p, `{"key":"-----BEGIN PRIVATE KEY-----\n","cert":"-----BEGIN CERTIFICATE-----\n"}`)
			add(m, p, "skip belongs-in-certificates")
		}
		for _, p := range []string{"clash/a-b/c", "clash/a/b-c", "Clash/A b c"} {
			m.put(fmt.Sprintf("%s/v%d", p, m.version), `{"a":"1"}`)
			add(m, fmt.Sprintf("%s/v%d", p, m.version), "conflict name-collision")
		}
	}
	for range 10 {
		p := path("undeleted")
		live(two, p, 1)
		two.remove(p)
		two.undelete(p, 1)
		p = path("deletion to come")
		two.describe(p, `{"delete_version_after":"240h"}`)
		live(two, p, 2).expires = 240 * time.Hour
	}
	for len(all) < 500 {
		for kind, line := range map[string]string{
			"deleted": "skip source-deleted", "older": "skip source-deleted", "destroyed": "skip source-destroyed",
			"metadata": "skip never-written", "null": "skip empty", "object": "skip empty",
		} {
			if len(all) == 500 {
				break
			}
			p := path(kind)
			add(two, p, line)
			switch kind {
			case "deleted":
				two.put(p, `{"a":"1"}`)
				two.remove(p)
			case "older":
				two.put(p, `{"a":"1"}`)
				two.put(p, `{"a":"2"}`)
				two.remove(p)
			case "destroyed":
				two.put(p, `{"a":"1"}`)
				two.destroy(p, 1)
			case "metadata":
				two.describe(p, `{"custom_metadata":{"owner":"a"}}`)
			case "null":
				two.put(p, `null`)
			case "object":
				two.call(http.MethodPost, two.path+"/data/"+escape(p), `{"data":{}}`)
			}
		}
	}
	return all
}

// secretOf makes the fields of a secret, and the value and content type that have to arrive.
func secretOf(random *rand.Rand, version, fields int) (body, value, typ string) {
	keys := []string{"password", "User", "a b", "é", "z<>&", "0"}
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	keys = keys[:fields]
	chosen := map[string]sample{}
	var sent []string
	for _, k := range keys {
		chosen[k] = samples[random.IntN(len(samples))]
		sent = append(sent, `"`+k+`": `+chosen[k].json)
	}
	body = "{" + strings.Join(sent, ", ") + "}"
	if fields == 1 {
		return body, chosen[keys[0]].arrives(version, false), "text/plain"
	}
	slices.Sort(keys)
	var parts []string
	for _, k := range keys {
		parts = append(parts, `"`+k+`":`+chosen[k].arrives(version, true))
	}
	return body, "{" + strings.Join(parts, ",") + "}", "application/json"
}
