package vaultsync

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyferry/keyferry/secret"
)

// Report is the outcome of a run. It holds names and paths, never a value.
type Report struct {
	Started     time.Time    `json:"started"`
	Took        string       `json:"took"`
	Destination string       `json:"destination"`
	Config      string       `json:"config,omitempty"` // hash of the configuration
	Planned     bool         `json:"planned"`          // nothing was written
	Complete    bool         `json:"complete"`         // false: the run was cut off or could not read everything
	Missing     []string     `json:"missing,omitempty"`
	Held        int          `json:"heldRemovals,omitempty"` // removals that the fuse holds
	Ended       string       `json:"ended,omitempty"`        // code of the error that ended the run; empty: it ended well
	Counts      map[Verb]int `json:"counts"`
	Items       []Item       `json:"items"` // everything but what is unchanged, by name

	mu   sync.Mutex
	errs []error
}

// Item is one line of a report.
type Item struct {
	Verb   Verb   `json:"verb"`
	Name   string `json:"name,omitempty"`
	Source string `json:"source"` // mount and path in Vault
	Rule   string `json:"rule,omitempty"`
	// Destination is set where a report is about several.
	Destination string   `json:"destination,omitempty"`
	Reason      Reason   `json:"reason"`
	Text        string   `json:"text,omitempty"`
	Hint        string   `json:"hint,omitempty"`
	Dropped     []string `json:"droppedTags,omitempty"`
}

func newReport(now time.Time, planned bool) *Report {
	return &Report{Started: now.UTC(), Planned: planned, Complete: true, Counts: map[Verb]int{}, Items: []Item{}}
}

// add counts a decision and keeps its line unless nothing moved.
func (r *Report) add(e Entry, d Decision) {
	item := Item{
		Verb: d.Verb, Name: e.Name, Source: e.Where(), Rule: e.Rule.Name,
		Reason: d.Reason, Text: d.Reason.Meaning(), Dropped: d.Dropped,
	}
	if e.Rival != "" {
		item.Text += "; so does " + e.Rival
	}
	r.item(item)
}

// item counts a line and keeps it unless nothing moved.
func (r *Report) item(i Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Counts[i.Verb]++
	if i.Verb != Unchanged || len(i.Dropped) > 0 {
		r.Items = append(r.Items, i)
	}
}

// fail counts something that could not be done.
func (r *Report) fail(item Item, err error) {
	item.Verb, item.Reason, item.Text, item.Hint = Failed, Reason(secret.Code(err)), err.Error(), secret.Hint(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Counts[Failed]++
	r.Items = append(r.Items, item)
	r.errs = append(r.errs, err)
}

// leave notes a part of the scope that this run says nothing about.
func (r *Report) leave(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Complete = false
	r.Missing = append(r.Missing, what)
}

// short is a copy with at most n items, those first that somebody has to look at.
func (r *Report) short(n int) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	items := slices.Clone(r.Items)
	if len(items) > n {
		slices.SortStableFunc(items, func(a, b Item) int { return b.urgency() - a.urgency() })
		items = items[:n]
	}
	return &Report{
		Started: r.Started, Took: r.Took, Destination: r.Destination, Config: r.Config, Planned: r.Planned,
		Complete: r.Complete, Missing: r.Missing, Held: r.Held, Ended: r.Ended, Counts: r.Counts, Items: items,
	}
}

func (i Item) urgency() int {
	switch i.Verb {
	case Failed:
		return 2
	case Conflict:
		return 1
	}
	return 0
}

// hold notes that the fuse holds a removal.
func (r *Report) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Held++
}

// end notes that a run which ended with the error did not cover its scope, and returns the error.
func (r *Report) end(err error) error {
	if err != nil && !errors.Is(err, secret.ErrPartial) {
		r.Complete = false
	}
	return err
}

// close puts the lines in a stable order.
func (r *Report) close(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Took = now.Sub(r.Started).Round(time.Millisecond).String()
	slices.SortFunc(r.Items, func(a, b Item) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Source, b.Source)
	})
	slices.Sort(r.Missing)
}

// Join makes one report of those of several destinations; one alone stays as it is.
func Join(reports ...*Report) *Report {
	if len(reports) == 1 {
		return reports[0]
	}
	all := &Report{Complete: true, Counts: map[Verb]int{}, Items: []Item{}}
	var took time.Duration
	for _, r := range reports {
		if all.Started.IsZero() || r.Started.Before(all.Started) {
			all.Started = r.Started
		}
		if d, err := time.ParseDuration(r.Took); err == nil {
			took = max(took, d)
		}
		all.Config, all.Planned, all.Complete = r.Config, r.Planned, all.Complete && r.Complete
		all.Held += r.Held
		for v, n := range r.Counts {
			all.Counts[v] += n
		}
		for _, m := range r.Missing {
			all.Missing = append(all.Missing, r.Destination+": "+m)
		}
		for _, i := range r.Items {
			i.Destination = r.Destination
			all.Items = append(all.Items, i)
		}
	}
	all.Took = took.String()
	return all
}

// Changes is how many secrets the run wrote, or a plan would.
func (r *Report) Changes() int {
	n := 0
	for v, c := range r.Counts {
		if v.changes() {
			n += c
		}
	}
	return n
}

// Total is how many secrets the run looked at.
func (r *Report) Total() int {
	n := 0
	for _, c := range r.Counts {
		n += c
	}
	return n
}
