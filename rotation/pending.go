package rotation

import (
	"context"
	"time"
)

// Status is what is owed about one secret.
type Status struct {
	Name     string
	Phase    string // of a rotation under way: prepared, applied, published; "" when none is
	Parked   bool
	Target   string
	Began    time.Time
	Source   string    // version that is replaced
	Version  string    // that was published
	Retire   time.Time // end of the grace
	Attempts int       // that failed in a row
	Next     time.Time // no attempt before
	Trouble  string    // of the last attempt
	Needs    Reason    // why a person is needed; "" when none is
	Alerts   int       // not delivered yet
	Broken   bool      // its record cannot be read
}

// Pending lists what is owed, by name. Records that cannot be read are in the list and in the error.
func (e *Engine) Pending(ctx context.Context) ([]Status, error) {
	open, err := e.entries(ctx)
	var all []Status
	for _, n := range open.sorted() {
		all = append(all, n.status())
	}
	return all, err
}

func (n *entry) status() Status {
	s := Status{Name: n.Secret, Attempts: n.Attempts, Next: n.Next, Trouble: n.Trouble, Alerts: len(n.Alerts), Broken: n.frozen}
	if f := n.Flight; f != nil {
		s.Phase, s.Parked, s.Target, s.Began, s.Source = string(f.Phase), f.Parked, f.Target, f.Began, f.Source
		s.Version, s.Retire = f.Version, f.Retire
	}
	if n.Ladder != nil {
		s.Needs = n.Ladder.Reason
	}
	return s
}
