package keyvault

import "time"

// throttleWindow is the span the service counts calls over (facts/keyvault.md 2).
const throttleWindow = 10 * time.Second

// window counts calls from the first one after the last window on.
type window struct {
	start time.Time
	n     int
}

// take counts one call unless the limit is reached; then it says how long the window still lasts. A limit of 0 always passes.
func (w *window) take(now time.Time, limit int) (wait time.Duration, ok bool) {
	if limit == 0 {
		return 0, true
	}
	if age := now.Sub(w.start); age >= throttleWindow || age < 0 {
		w.start, w.n = now, 0
	}
	if w.n >= limit {
		return w.start.Add(throttleWindow).Sub(now), false
	}
	w.n++
	return 0, true
}
