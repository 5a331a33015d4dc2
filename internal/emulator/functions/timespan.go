package functions

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var timeSpan = regexp.MustCompile(`^(?:(\d{1,3})\.)?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,7}))?)?$`)

// parseTimeSpan reads .NET's TimeSpan notation, [days.]hours:minutes[:seconds[.fraction]], as host.json uses it.
func parseTimeSpan(s string) (time.Duration, error) {
	m := timeSpan.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a time span like 00:05:00", s)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil || (unit == time.Hour && n > 23) {
			return 0, fmt.Errorf("%q is not a time span like 00:05:00", s)
		}
		d += time.Duration(n) * unit
	}
	if m[5] != "" {
		f, err := strconv.ParseFloat("0."+m[5], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time span like 00:05:00", s)
		}
		d += time.Duration(f * float64(time.Second)).Round(100 * time.Nanosecond)
	}
	return d, nil
}
