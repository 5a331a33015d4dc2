package keyvault

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Operation is an operation of the data plane, written as its method and path. The latest version is asked for with a trailing
// slash, as the SDKs do.
type Operation string

// The operations (facts/keyvault.md 1.1).
const (
	OpSet            Operation = "PUT /secrets/{name}"
	OpGetLatest      Operation = "GET /secrets/{name}/"
	OpGetVersion     Operation = "GET /secrets/{name}/{version}"
	OpUpdateLatest   Operation = "PATCH /secrets/{name}/"
	OpUpdateVersion  Operation = "PATCH /secrets/{name}/{version}"
	OpList           Operation = "GET /secrets"
	OpListVersions   Operation = "GET /secrets/{name}/versions"
	OpDelete         Operation = "DELETE /secrets/{name}"
	OpBackup         Operation = "POST /secrets/{name}/backup"
	OpRestore        Operation = "POST /secrets/restore"
	OpGetDeleted     Operation = "GET /deletedsecrets/{name}"
	OpListDeleted    Operation = "GET /deletedsecrets"
	OpRecoverDeleted Operation = "POST /deletedsecrets/{name}/recover"
	OpPurgeDeleted   Operation = "DELETE /deletedsecrets/{name}"
)

// call is one admitted request with everything its handler needs.
type call struct {
	name, version string // as requested; the version lower-cased, empty for the latest
	path          string
	api           string
	query         url.Values
	body          []byte
	host, base    string // see Vault.hosts
	now           time.Time
}

type route struct {
	op       Operation
	method   string
	segments []string
	named    bool // the path holds a secret's name
	body     bool // the call must bring JSON
	handle   func(*Vault, *call) (any, *Fault)
}

// routes lists every operation, literal paths before those with a placeholder in the same place.
func routes() []route {
	var all []route
	add := func(op Operation, body bool, handle func(*Vault, *call) (any, *Fault), paths ...Operation) {
		for _, p := range append(paths, op) {
			method, path, _ := strings.Cut(string(p), " ")
			all = append(all, route{
				op: op, method: method, segments: strings.Split(path, "/")[1:],
				named: strings.Contains(path, "{name}"), body: body, handle: handle,
			})
		}
	}
	add(OpRestore, true, (*Vault).restore)
	add(OpListVersions, false, (*Vault).listVersions)
	add(OpBackup, false, (*Vault).backup)
	add(OpList, false, (*Vault).list)
	add(OpSet, true, (*Vault).set)
	add(OpGetLatest, false, (*Vault).get, "GET /secrets/{name}")
	add(OpGetVersion, false, (*Vault).get)
	add(OpUpdateLatest, true, (*Vault).update, "PATCH /secrets/{name}")
	add(OpUpdateVersion, true, (*Vault).update)
	add(OpDelete, false, (*Vault).delete)
	add(OpListDeleted, false, (*Vault).listDeleted)
	add(OpGetDeleted, false, (*Vault).getDeleted)
	add(OpRecoverDeleted, false, (*Vault).recover)
	add(OpPurgeDeleted, false, (*Vault).purge)
	return all
}

// match finds the route of a method and an escaped path. An unknown path is 404, a known one with another method 405.
func match(routes []route, method, escaped string) (rt *route, name, version string, f *Fault) {
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, "", "", unknownPath()
		}
		segments[i] = plain
	}
	known := false
	for i := range routes {
		rt := &routes[i]
		name, version, ok := rt.bind(segments)
		if !ok {
			continue
		}
		if rt.method == method {
			return rt, name, version, nil
		}
		known = true
	}
	if known {
		return nil, "", "", methodNotAllowed(method)
	}
	return nil, "", "", unknownPath()
}

func (rt *route) bind(segments []string) (name, version string, ok bool) {
	if len(segments) != len(rt.segments) {
		return "", "", false
	}
	for i, want := range rt.segments {
		switch {
		case want == "{name}":
			name = segments[i]
		case want == "{version}" && segments[i] != "":
			version = segments[i]
		case want != segments[i]:
			return "", "", false
		}
	}
	return name, version, true
}

// apiVersions are the versions of the secrets API in public use, oldest first (facts/keyvault.md 1.6).
var apiVersions = []string{"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"}

func checkAPIVersion(api string) *Fault {
	switch {
	case api == "":
		return newFault(http.StatusBadRequest, "BadParameter", "", "api-version must be specified")
	case !slices.Contains(apiVersions, api):
		return newFault(http.StatusBadRequest, "BadParameter", "", "The specified version ("+api+
			") is not recognized. Consider using the latest supported version ("+apiVersions[len(apiVersions)-1]+").")
	}
	return nil
}

// parseQuery reports a malformed query beside whatever of it could be read.
func parseQuery(raw string) (values url.Values, malformed bool) {
	values, err := url.ParseQuery(raw)
	return values, err != nil
}
