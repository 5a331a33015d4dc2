// Package keyvault is an in-memory Azure Key Vault, secrets data plane only, as an [http.Handler].
//
// It is strict and awkward on purpose. Names ignore case, versions list in the order of their text and not of their age, pages
// end after 25 items with an absolute link, a deleted or recovered secret takes its time, answers leave the value out wherever
// the service does, and the first call without a token gets the 401 challenge before anything else is looked at. Shapes, orders
// and wordings come from recorded traffic of the real service (testdata) and from facts/keyvault.md sections 1 to 3; where
// neither says what the service does, the strictest plausible answer is given and the doc comment says "unverified".
//
// Nothing is written anywhere and no goroutine is started. All time is [Options].Now: with a fake clock the ten seconds of a
// soft delete, the retention of a deleted secret and the 30 days before an expiry pass at once. The package imports only the
// standard library, so that it cannot share a mistake with the code it tests.
package keyvault

import (
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultTenant is the tenant of the 401 challenge and of events when [Options] names no other. It is obviously made up.
const DefaultTenant = "00000000-0000-0000-0000-00000000aaaa"

// Options describes one key vault. The zero value is a vault called "kv1" of 90 days retention without purge protection, without
// delays and without throttling.
type Options struct {
	// Name is the vault's name in events and messages; empty means "kv1".
	Name string
	// Now is the only clock; nil means time.Now.
	Now func() time.Time
	// Rand gives the 16 bytes of each version id; nil means crypto/rand. It is read under a lock.
	Rand io.Reader

	// IDHost is the host in ids and recovery ids, without a port as in the service ("kv1.vault.azure.net"). Empty means the host
	// of the request, and Name+".vault.azure.net" in events.
	IDHost string
	// Topic is the topic of events; empty means the resource id of Name in an all-zero subscription.
	Topic string

	// Token accepts a bearer token; nil accepts any that is not empty.
	Token func(token string) bool
	// Resource and Authority fill the 401 challenge; empty means https://vault.azure.net and https://login.microsoftonline.com/
	// followed by [DefaultTenant]. Authority must be a full URL with a tenant segment: clients read the tenant from its path.
	Resource, Authority string

	// RecoverableDays is the retention of deleted secrets, 7 to 90; 0 means 90.
	RecoverableDays int
	// PurgeProtection refuses purges and drops "+Purgeable" from the recovery level.
	PurgeProtection bool
	// DeleteDelay is how long a deleted secret is neither a secret nor a deleted secret; the service takes about 10 s.
	DeleteDelay time.Duration
	// RecoverDelay is how long a recovery lasts: in its first half the secret is nowhere, in its second half it can be read but
	// a new version is still refused.
	RecoverDelay time.Duration
	// PurgeDelay is how long a purged name stays taken.
	PurgeDelay time.Duration

	// CreateLimit is how many PUTs of secrets, and TransactionLimit how many other calls, pass in 10 s; 0 means no limit, the
	// service's figures are 300 and 4,000. Refused calls are not counted towards a limit.
	CreateLimit, TransactionLimit int
	// RetryAfter makes the 429 carry a Retry-After header. No recorded 429 of a key vault does.
	RetryAfter bool

	// February2020 answers as the service did then: the challenge message has no AKV10000, and api-version 7.0 shows
	// recoverableDays.
	February2020 bool

	// Events receives each event once, on the goroutine that caused it, without a lock held; nil drops them.
	Events func(Event)
}

// Vault is one key vault. It is safe for concurrent use; the zero value is not usable, see [New].
type Vault struct {
	opts     Options
	routes   []route
	requests atomic.Uint64

	mu           sync.Mutex
	records      map[string]*record // :: upper-cased name -> secret, in whatever state
	names        index
	backups      map[string]*record // :: blob -> frozen copy
	calls        map[Operation]int
	creates      window
	transactions window
}

// New returns an empty key vault.
func New(o Options) *Vault {
	if o.Name == "" {
		o.Name = "kv1"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Topic == "" {
		o.Topic = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/emulated/providers/Microsoft.KeyVault/vaults/" + o.Name
	}
	if o.Resource == "" {
		o.Resource = "https://vault.azure.net"
	}
	if o.Authority == "" {
		o.Authority = "https://login.microsoftonline.com/" + DefaultTenant
	}
	if o.RecoverableDays == 0 {
		o.RecoverableDays = 90
	}
	return &Vault{
		opts:    o,
		routes:  routes(),
		records: map[string]*record{},
		backups: map[string]*record{},
		calls:   map[Operation]int{},
	}
}

// ServeHTTP answers one call of the data plane. Every answer but the empty 204 is JSON.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := v.opts.Now()
	v.stamp(w.Header(), r, now)
	body, f := v.answer(r, now)
	switch {
	case f != nil:
		f.ServeHTTP(w, r)
	case body == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		writeJSON(w, http.StatusOK, body)
	}
}

// answer returns the body of a 200, nil for the 204, or the fault.
func (v *Vault) answer(r *http.Request, now time.Time) (any, *Fault) {
	query, badQuery := parseQuery(r.URL.RawQuery)
	api := query.Get("api-version")
	// The SDKs send their first call without token and without body and expect the challenge whatever else is wrong with it.
	if f := v.authenticate(r.Header.Get("Authorization"), api); f != nil {
		return nil, f
	}
	if badQuery {
		return nil, invalidProperty("query")
	}
	if f := checkAPIVersion(api); f != nil {
		return nil, f
	}
	rt, name, version, f := match(v.routes, r.Method, r.URL.EscapedPath())
	if f != nil {
		return nil, f
	}
	if f := v.admit(rt.op, now); f != nil {
		return nil, f
	}
	if rt.named && !validName(name) {
		return nil, invalidName(name)
	}
	c := &call{name: name, version: strings.ToLower(version), path: r.URL.Path, api: api, query: query, now: now}
	c.host, c.base = v.hosts(r)
	if rt.body {
		if c.body, f = readBody(r); f != nil {
			return nil, f
		}
	}
	return rt.handle(v, c)
}

// authenticate answers nil for an accepted token.
func (v *Vault) authenticate(header, api string) *Fault {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	var f Fault
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		f = missingToken(!v.opts.February2020)
	case v.opts.Token != nil && !v.opts.Token(token):
		f = TokenExpired()
	default:
		return nil
	}
	authority := v.opts.Authority
	if api == "7.0" {
		authority = strings.Replace(authority, "https://login.microsoftonline.com/", "https://login.windows.net/", 1)
	}
	f.Challenge = challenge(authority, v.opts.Resource)
	return &f
}

// admit counts the call and answers 429 when its window is full.
func (v *Vault) admit(op Operation, now time.Time) *Fault {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls[op]++
	w, limit := &v.transactions, v.opts.TransactionLimit
	if op == OpSet {
		w, limit = &v.creates, v.opts.CreateLimit
	}
	wait, ok := w.take(now, limit)
	if ok {
		return nil
	}
	f := Throttled(0)
	if v.opts.RetryAfter {
		f = Throttled(wait)
	}
	return &f
}

// hosts returns the host of ids and the scheme, host and port of next links. The service writes its port even where it is the
// default one; a request that came to another port is sent back to that port, or no client could follow the link.
func (v *Vault) hosts(r *http.Request) (id, base string) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	scheme, port := "https", "443"
	if r.TLS == nil && r.URL.Scheme != "https" {
		scheme, port = "http", "80"
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	id = v.opts.IDHost
	if id == "" {
		id = host
	}
	return id, scheme + "://" + net.JoinHostPort(strings.Trim(host, "[]"), port)
}
