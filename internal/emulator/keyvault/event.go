package keyvault

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// EventType is the type of an event as Event Grid writes it.
type EventType string

// The events of secrets (facts/keyvault.md 3.1). There are none for deleting, recovering, purging, restoring or updating.
const (
	SecretNewVersionCreated EventType = "Microsoft.KeyVault.SecretNewVersionCreated"
	SecretNearExpiry        EventType = "Microsoft.KeyVault.SecretNearExpiry"
	SecretExpired           EventType = "Microsoft.KeyVault.SecretExpired"
)

// nearExpiry is how long before its expiry a secret is near it; the service lets nobody choose it for secrets.
const nearExpiry = 30 * 24 * time.Hour

// Event is something that happened to a version of a secret. [Event.EventGrid] and [Event.CloudEvent] put it on the wire.
type Event struct {
	// ID is the same for the same type and version, so a delivery repeated is the same event.
	ID string
	// Type says what happened, Time when.
	Type EventType
	Time time.Time
	// Topic is the vault's resource id, VaultName the vault.
	Topic, VaultName string
	// SecretID is the id of the version with the vault's host, Name and Version its parts.
	SecretID, Name, Version string
	// NotBefore and Expires are the version's nbf and exp in unix seconds; nil means not set.
	NotBefore, Expires *int64
}

func (v *Vault) event(t EventType, r *record, ver *version, at time.Time) Event {
	host := v.opts.IDHost
	if host == "" {
		host = v.opts.Name + ".vault.azure.net"
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{v.opts.Topic, string(t), r.key, ver.id}, "\n")))
	return Event{
		ID:   fmt.Sprintf("%x-%x-4%03x-8%03x-%x", sum[:4], sum[4:6], uint16(sum[6])<<4, uint16(sum[8])<<4, sum[10:16]),
		Type: t, Time: at, Topic: v.opts.Topic, VaultName: v.opts.Name,
		SecretID: secretID(host, r.name, ver.id), Name: r.name, Version: ver.id,
		NotBefore: ver.nbf, Expires: ver.exp,
	}
}

func (v *Vault) raise(events ...Event) {
	if v.opts.Events == nil {
		return
	}
	for _, e := range events {
		v.opts.Events(e)
	}
}

// Tick raises what the clock has made due since the last Tick, and returns it in order of due time: SecretNearExpiry from 30 days
// before exp on, SecretExpired from exp on. Each is raised once per version and only while that version is the current one,
// enabled or not, of a secret that is not deleted. A version set within its 30 days is near expiry at the next Tick.
func (v *Vault) Tick() []Event {
	now := v.opts.Now()
	type due struct {
		at    time.Time
		event Event
	}
	var all []due
	v.mu.Lock()
	for _, r := range v.records {
		ver := r.current
		if ver.quiet || ver.exp == nil || ver.expiredRaised || !r.readable(now, &v.opts) {
			continue
		}
		expires := time.Unix(*ver.exp, 0)
		if near := expires.Add(-nearExpiry); !ver.nearRaised && !now.Before(near) {
			ver.nearRaised = true
			all = append(all, due{near, v.event(SecretNearExpiry, r, ver, now)})
		}
		if !now.Before(expires) {
			ver.expiredRaised = true
			all = append(all, due{expires, v.event(SecretExpired, r, ver, now)})
		}
	}
	v.mu.Unlock()
	slices.SortFunc(all, func(a, b due) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return strings.Compare(a.event.Name, b.event.Name)
	})
	events := make([]Event, len(all))
	for i, d := range all {
		events[i] = d.event
	}
	v.raise(events...)
	return events
}
