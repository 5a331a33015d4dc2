package vaultsync

import "time"

// glimpse is what is known of a State, in half the room. The zero glimpse is of a secret that nobody looked at.
type glimpse struct {
	created  int64 // seconds since 1970, and the rest of them in nanoseconds
	deletion int64
	custom   map[string]string
	createdNano, deletionNano,
	version int32
	destroyed bool
	sight     sight
}

// sight is how far the looking came.
type sight uint8

const (
	unseen sight = iota
	asked        // is to be read, because both sides have the secret
	seen
)

func glimpseOf(s State) glimpse {
	return glimpse{
		created: s.Created.Unix(), createdNano: int32(s.Created.Nanosecond()),
		deletion: s.Deletion.Unix(), deletionNano: int32(s.Deletion.Nanosecond()),
		custom: s.Custom, version: int32(s.Version), destroyed: s.Destroyed, sight: seen,
	}
}

// state is what the glimpse was of, its times in UTC.
func (g glimpse) state() State {
	return State{
		Version: int(g.version), Created: time.Unix(g.created, int64(g.createdNano)).UTC(),
		Deletion: time.Unix(g.deletion, int64(g.deletionNano)).UTC(), Destroyed: g.destroyed, Custom: g.custom,
	}
}
