package vaultsync

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keyferry/keyferry/secret"
)

// PlanFile is a plan as a thing: what a run would do, bound to what source and destination looked like. It holds names,
// paths and fingerprints, never a value. Apply it with Apply: what moved since is said and left alone.
type PlanFile struct {
	Format      int           `json:"keyferryPlan"`
	Destination string        `json:"destination"`
	Config      string        `json:"config"`
	Scope       Scope         `json:"scope"`
	Items       []PlannedItem `json:"items"`

	mu   sync.Mutex
	byID map[ident]*PlannedItem
}

// PlannedItem is one secret of a plan.
type PlannedItem struct {
	Verb   Verb   `json:"verb"`
	Reason Reason `json:"reason"`
	Name   string `json:"name,omitempty"`
	From   string `json:"from"`             // name of the source, as in the tag migrated-from
	Ref    string `json:"ref"`              // as in the tag vault-path
	Source string `json:"source,omitempty"` // fingerprint of what Vault held
	Copy   string `json:"copy,omitempty"`   // fingerprint of what Key Vault held

	used bool
}

// planFormat is raised when an older program could misread a plan.
const planFormat = 1

// ReadPlan decodes a plan file strictly. secret.ErrInvalid.
func ReadPlan(b []byte) (*PlanFile, error) {
	p := &PlanFile{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil || p.Format != planFormat || dec.Decode(&struct{}{}) != io.EOF {
		return nil, fmt.Errorf("%w: this is no plan of format %d", secret.ErrInvalid, planFormat)
	}
	if err := p.index(); err != nil {
		return nil, err
	}
	return p, nil
}

// index makes the plan ready to be applied; secret.ErrInvalid when it says two things of one secret.
func (p *PlanFile) index() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID = make(map[ident]*PlannedItem, len(p.Items))
	for i := range p.Items {
		item := &p.Items[i]
		item.used = false
		if p.byID[item.id()] != nil {
			return fmt.Errorf("%w: the plan names %q twice", secret.ErrInvalid, item.Ref)
		}
		p.byID[item.id()] = item
	}
	return nil
}

func (i *PlannedItem) id() ident { return ident{i.From, i.Ref} }

// note records a decision in a plan that is being made.
func (p *PlanFile) note(k knowledge, listed *row, d Decision) {
	item := PlannedItem{
		Verb: d.Verb, Reason: d.Reason, Name: k.entry.Name, From: k.entry.Rule.source(), Ref: k.entry.Ref,
		Source: k.sourceMark(), Copy: listed.mark(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Items = append(p.Items, item)
}

// bind compares a decision with the plan that is being applied: only what was planned, and only as it was planned, is
// done.
func (p *PlanFile) bind(k knowledge, listed *row, d Decision) Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	item := p.byID[k.entry.id()]
	if item != nil {
		item.used = true
	}
	switch {
	case !d.Verb.changes():
		return d
	case item == nil:
		return verdict(Skip, ReasonNotPlanned)
	case item.Verb != d.Verb, item.Reason != d.Reason, item.Name != k.entry.Name, item.Copy != listed.mark():
		return verdict(Conflict, ReasonMovedSincePlan)
	case item.Source != "" && item.Source != k.sourceMark():
		return verdict(Conflict, ReasonMovedSincePlan)
	}
	return d
}

// sort puts the items in an order that does not depend on the run.
func (p *PlanFile) sort() {
	slices.SortFunc(p.Items, func(a, b PlannedItem) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.Ref, b.Ref))
	})
}

// leftovers reports what was planned and never came up.
func (p *PlanFile) leftovers(report *Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, item := range p.Items {
		if !item.used && item.Verb.changes() {
			report.item(Item{
				Verb: Conflict, Name: item.Name, Source: item.Ref, Reason: ReasonMovedSincePlan, Text: ReasonMovedSincePlan.Meaning(),
			})
		}
	}
}

// sourceMark tells two states of the source apart, "" when nothing does. KV v1 has no metadata: there the keyed hash
// does, once there is a key.
func (k knowledge) sourceMark() string {
	switch {
	case k.entry.Mount.Version == 2 && k.state != nil:
		return k.entry.print(*k.state, k.now)
	case k.entry.Mount.Version == 1 && k.value != nil && !k.value.value.IsZero():
		if sum := k.hasher.Sum(k.value.value); k.hasher.Knows(sum) { // without a key it could be guessed
			return sum
		}
	}
	return ""
}

// mark tells two states of a copy apart; "" for none.
func (r *row) mark() string {
	if r == nil {
		return ""
	}
	return hex.EncodeToString(r.print[:8]) + "." + strconv.FormatInt(r.created.Unix(), 36) + "." + strconv.FormatBool(r.disabled)
}
