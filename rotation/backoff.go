package rotation

import "time"

// The pauses after attempts that failed double from the first to the last.
const (
	firstPause = time.Minute
	lastPause  = 12 * time.Hour

	// parkAfter is how many attempts a rotation under way gets: about three days.
	parkAfter = 15
	// tellAfter is how many attempts may fail before somebody is told of a rotation that could not begin.
	tellAfter = 3
)

// pauseAfter is how long to wait after so many attempts that failed in a row.
func pauseAfter(attempts int) time.Duration {
	pause := firstPause
	for range attempts - 1 {
		if pause *= 2; pause >= lastPause {
			return lastPause
		}
	}
	return pause
}
