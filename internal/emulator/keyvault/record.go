package keyvault

import (
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"
)

// record is one secret in whatever state, with all its versions. At most one of deleted, recovered and purged is set: the last
// change of state.
type record struct {
	name, key    string // as first set; upper-cased
	managed      bool
	kid          string
	current      *version
	versions     []*version // by id
	deleted      time.Time
	recovered    time.Time
	purged       time.Time
	unregistered bool // no longer in Vault.records; the index drops it when it next looks
}

type version struct {
	id               string
	value            string
	contentType      *string
	enabled          bool
	nbf, exp         *int64
	created, updated int64
	tags             tags

	nearRaised, expiredRaised bool
	quiet                     bool
}

// State is where a secret stands between being set and being gone.
type State string

// The states a secret passes. Only Active and Settling secrets answer under /secrets, only Deleted ones under /deletedsecrets.
const (
	Active     State = "active"
	Deleting   State = "deleting"   // deleted, and not yet to be seen as such
	Deleted    State = "deleted"    // to be recovered or purged, or to go by itself when its retention ends
	Recovering State = "recovering" // recovered, and not yet to be seen as such
	Settling   State = "settling"   // readable, but the recovery still refuses a new version
	Purging    State = "purging"    // purged, the name still taken
	gone       State = ""
)

// state is where the record stands at an instant: states end by the clock alone.
func (r *record) state(now time.Time, o *Options) State {
	switch {
	case !r.purged.IsZero():
		if now.Before(r.purged.Add(o.PurgeDelay)) {
			return Purging
		}
		return gone
	case !r.deleted.IsZero():
		switch {
		case now.Before(r.deleted.Add(o.DeleteDelay)):
			return Deleting
		case now.Before(r.scheduledPurge(o.RecoverableDays)):
			return Deleted
		}
		return gone
	case !r.recovered.IsZero():
		switch {
		case now.Before(r.recovered.Add(o.RecoverDelay / 2)):
			return Recovering
		case now.Before(r.recovered.Add(o.RecoverDelay)):
			return Settling
		}
	}
	return Active
}

func (r *record) readable(now time.Time, o *Options) bool {
	s := r.state(now, o)
	return s == Active || s == Settling
}

func (r *record) scheduledPurge(days int) time.Time {
	return time.Unix(r.deleted.Unix()+int64(days)*86400, 0)
}

// find returns the version with an id, or the current one for an empty id, or nil.
func (r *record) find(id string) *version {
	if id == "" {
		return r.current
	}
	if i, ok := r.search(id); ok {
		return r.versions[i]
	}
	return nil
}

func (r *record) search(id string) (int, bool) {
	return slices.BinarySearchFunc(r.versions, id, func(v *version, id string) int { return strings.Compare(v.id, id) })
}

// add makes v the current version; it is false when the id is taken.
func (r *record) add(v *version) bool {
	i, taken := r.search(v.id)
	if taken {
		return false
	}
	r.versions = slices.Insert(r.versions, i, v)
	r.current = v
	return true
}

// clone copies the record with its versions, without state, for a backup or a restore.
func (r *record) clone() *record {
	c := &record{name: r.name, key: r.key, managed: r.managed, kid: r.kid}
	for _, v := range r.versions {
		twin := *v
		c.versions = append(c.versions, &twin)
		if v == r.current {
			c.current = &twin
		}
	}
	return c
}

// newVersionID is a version 4 UUID without its dashes, as the service makes them.
func newVersionID(random io.Reader) (string, bool) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", false
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return hex.EncodeToString(b[:]), true
}

// lookup returns the record that holds a name at this instant, or nil. The lock is held.
func (v *Vault) lookup(name string, now time.Time) *record {
	r := v.records[strings.ToUpper(name)]
	if r == nil {
		return nil
	}
	if r.state(now, &v.opts) == gone {
		r.unregistered = true
		delete(v.records, r.key)
		return nil
	}
	return r
}

// register makes the record the holder of its name. The lock is held and the name is free.
func (v *Vault) register(r *record) {
	v.records[r.key] = r
	v.names.add(r)
}
