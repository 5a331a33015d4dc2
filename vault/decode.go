package vault

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// The decoders take an answer of Vault apart. Fields they do not know are passed over, because each release of Vault
// adds some; a field they need and do not find, or of another type, makes the answer malformed. Their errors quote
// nothing, for encoding/json quotes the text it stumbles over.

// malformed says what of an answer is not as Vault sends it. It is no absence and no value: nothing follows from it.
func malformed(what string) error {
	return &fault{kind: secret.ErrUnavailable, text: "the answer is not one of vault: " + what}
}

// decode reads exactly one JSON value.
func decode(body []byte, into any, what string) error {
	if !utf8.Valid(body) {
		return malformed(what)
	}
	if json.Unmarshal(body, into) != nil {
		return malformed(what)
	}
	return nil
}

// decodeGrant reads the answer of a log-in.
func decodeGrant(body []byte) (grant, error) {
	var a struct {
		Auth *struct {
			Token   string `json:"client_token"`
			Seconds int64  `json:"lease_duration"`
		} `json:"auth"`
	}
	if err := decode(body, &a, "log-in"); err != nil {
		return grant{}, err
	}
	if a.Auth == nil || a.Auth.Token == "" || a.Auth.Seconds < 0 || a.Auth.Seconds > 1<<32 {
		return grant{}, &fault{kind: secret.ErrUnauthorized, text: "the log-in gave no token; second factors are not supported"}
	}
	return grant{secret.New(a.Auth.Token), time.Duration(a.Auth.Seconds) * time.Second}, nil
}

// mountBody is a secrets engine in the answers of sys/internal/ui/mounts. Options are null, empty or {"version":"1"}
// for KV version 1 (facts/vault-sync.md A7).
type mountBody struct {
	Type     string            `json:"type"`
	UUID     string            `json:"uuid"`
	Accessor string            `json:"accessor"`
	Options  map[string]string `json:"options"`
	Plugin   string            `json:"running_plugin_version"`
}

// mount makes the port's view of an engine, or false when it is not KV.
func (b mountBody) mount(path string) (vaultsync.Mount, bool) {
	m := vaultsync.Mount{Path: strings.Trim(path, "/"), Version: 1, ID: b.UUID + "/" + b.Accessor}
	if b.Options["version"] == "2" {
		m.Version = 2
	}
	return m, b.Type == "kv" || b.Type == "generic"
}

// decodeMounts reads the answer of sys/internal/ui/mounts and keeps the KV mounts. bao tells that the KV engine calls
// itself OpenBao's: "v2.6.2+builtin.bao", where Vault's says "v0.25.0+builtin".
func decodeMounts(body []byte) (mounts []vaultsync.Mount, bao bool, err error) {
	var a struct {
		Data *struct {
			Secret map[string]mountBody `json:"secret"`
		} `json:"data"`
	}
	if err := decode(body, &a, "mounts"); err != nil {
		return nil, false, err
	}
	if a.Data == nil || a.Data.Secret == nil {
		return nil, false, malformed("mounts")
	}
	for path, b := range a.Data.Secret {
		if m, kv := b.mount(path); kv {
			mounts = append(mounts, m)
			bao = bao || strings.HasSuffix(b.Plugin, "+builtin.bao")
		}
	}
	return mounts, bao, nil
}

// decodeMount reads the answer of sys/internal/ui/mounts/<path>: the engine that owns the path, and whether it is KV.
func decodeMount(body []byte) (vaultsync.Mount, bool, error) {
	var a struct {
		Data *struct {
			mountBody
			Path string `json:"path"`
		} `json:"data"`
	}
	if err := decode(body, &a, "mount"); err != nil {
		return vaultsync.Mount{}, false, err
	}
	if a.Data == nil || a.Data.Path == "" {
		return vaultsync.Mount{}, false, malformed("mount")
	}
	m, kv := a.Data.mount(a.Data.Path)
	return m, kv, nil
}

// decodeList reads the names in a folder.
func decodeList(body []byte) ([]string, error) {
	var a struct {
		Data *struct {
			Keys *[]string `json:"keys"`
		} `json:"data"`
	}
	if err := decode(body, &a, "listing"); err != nil {
		return nil, err
	}
	if a.Data == nil || a.Data.Keys == nil {
		return nil, malformed("listing without names")
	}
	return *a.Data.Keys, nil
}

// decodeDetailed reads the names in a folder and what is told of each secret. A secret of which that cannot be read has
// no state, as a folder has none.
func decodeDetailed(body []byte) ([]string, map[string]vaultsync.State, error) {
	names, err := decodeList(body)
	if err != nil {
		return nil, nil, err
	}
	var a struct {
		Data struct {
			Info map[string]json.RawMessage `json:"key_info"`
		} `json:"data"`
	}
	if err := decode(body, &a, "listing with metadata"); err != nil {
		return nil, nil, err
	}
	states := make(map[string]vaultsync.State, len(names))
	for _, name := range names {
		var b *metadataBody
		if strings.HasSuffix(name, "/") || json.Unmarshal(a.Data.Info[name], &b) != nil {
			continue
		}
		if s, err := b.state(); err == nil {
			states[name] = s
		}
	}
	return names, states, nil
}

// decodeCapabilities reads what the token may do on a path.
func decodeCapabilities(body []byte, path string) ([]string, error) {
	var a struct {
		Data map[string][]string `json:"data"`
	}
	if err := decode(body, &a, "capabilities"); err != nil {
		return nil, err
	}
	if a.Data[path] == nil {
		return nil, malformed("capabilities without the path")
	}
	return a.Data[path], nil
}

// versionBody is what KV version 2 tells of one version of a secret.
type versionBody struct {
	Created   string `json:"created_time"`
	Deletion  string `json:"deletion_time"`
	Destroyed bool   `json:"destroyed"`
}

func (b versionBody) state(number int, custom map[string]string) (vaultsync.State, error) {
	created, err := time.Parse(time.RFC3339Nano, b.Created)
	if err != nil || number < 1 {
		return vaultsync.State{}, malformed("version")
	}
	s := vaultsync.State{Version: number, Created: created, Destroyed: b.Destroyed, Custom: custom}
	if b.Deletion != "" {
		if s.Deletion, err = time.Parse(time.RFC3339Nano, b.Deletion); err != nil {
			return vaultsync.State{}, malformed("deletion time")
		}
	}
	return s, nil
}

// metadataBody is what KV version 2 tells of a secret. One never written has version 0.
type metadataBody struct {
	Current  *int                   `json:"current_version"`
	Versions map[string]versionBody `json:"versions"`
	Custom   map[string]string      `json:"custom_metadata"`
}

func (b *metadataBody) state() (vaultsync.State, error) {
	if b == nil || b.Current == nil {
		return vaultsync.State{}, malformed("metadata without a version")
	}
	if *b.Current == 0 {
		return vaultsync.State{Custom: b.Custom}, nil
	}
	v, there := b.Versions[strconv.Itoa(*b.Current)]
	if !there {
		return vaultsync.State{}, malformed("metadata without its current version")
	}
	return v.state(*b.Current, b.Custom)
}

// decodeMetadata reads the answer of <mount>/metadata/<path>.
func decodeMetadata(body []byte) (vaultsync.State, error) {
	var a struct {
		Data *metadataBody `json:"data"`
	}
	if err := decode(body, &a, "metadata"); err != nil {
		return vaultsync.State{}, err
	}
	return a.Data.state()
}

// numberedBody is a version that says its number.
type numberedBody struct {
	versionBody
	Version int               `json:"version"`
	Custom  map[string]string `json:"custom_metadata"`
}

// decodeWritten reads the answer to a write of <mount>/data/<path>: the version it made.
func decodeWritten(body []byte) (vaultsync.State, error) {
	var a struct {
		Data *numberedBody `json:"data"`
	}
	if err := decode(body, &a, "write"); err != nil {
		return vaultsync.State{}, err
	}
	if a.Data == nil {
		return vaultsync.State{}, malformed("write without a version")
	}
	return a.Data.state(a.Data.Version, a.Data.Custom)
}

// decodeData reads the answer of <mount>/data/<path>, that of status 404 for a version that is deleted or destroyed
// included (facts/vault-sync.md A4). Fields is nil when the version has none to show.
func decodeData(body []byte) (vaultsync.State, vaultsync.Fields, error) {
	var a struct {
		Data *struct {
			Data     map[string]json.RawMessage `json:"data"`
			Metadata *numberedBody              `json:"metadata"`
		} `json:"data"`
	}
	if err := decode(body, &a, "secret"); err != nil {
		return vaultsync.State{}, nil, err
	}
	if a.Data == nil || a.Data.Metadata == nil {
		return vaultsync.State{}, nil, malformed("secret without metadata")
	}
	s, err := a.Data.Metadata.state(a.Data.Metadata.Version, a.Data.Metadata.Custom)
	if err != nil {
		return vaultsync.State{}, nil, err
	}
	return s, guard(a.Data.Data), nil
}

// decodePlain reads a secret of KV version 1.
func decodePlain(body []byte) (vaultsync.Fields, error) {
	var a struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := decode(body, &a, "secret"); err != nil {
		return nil, err
	}
	if a.Data == nil {
		return nil, malformed("secret without data")
	}
	return guard(a.Data), nil
}

func guard(raw map[string]json.RawMessage) vaultsync.Fields {
	if raw == nil {
		return nil
	}
	fields := make(vaultsync.Fields, len(raw))
	for key, text := range raw {
		fields[key] = secret.New(string(text))
	}
	return fields
}
