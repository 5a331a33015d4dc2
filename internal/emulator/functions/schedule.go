package functions

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// schedule is a six-field NCRONTAB expression: second, minute, hour, day, month, day of week, in UTC (section 2.4).
// Each field is the set of its values, as bits. Day and day of week must both match, unlike in Unix cron.
type schedule [6]uint64

var scheduleFields = [6]struct {
	name   string
	lo, hi int
	words  string // names of the values from lo on, three letters each
}{
	{"second", 0, 59, ""}, {"minute", 0, 59, ""}, {"hour", 0, 23, ""}, {"day", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"}, {"day of week", 0, 6, "sunmontuewedthufrisat"},
}

// parseSchedule refuses what the Flex Consumption plan refuses too: five fields and time spans.
func parseSchedule(s string) (schedule, error) {
	var out schedule
	fields := strings.Fields(s)
	if len(fields) != len(out) {
		return out, fmt.Errorf("schedule %q has %d fields, want six: second minute hour day month day-of-week", s, len(fields))
	}
	for i, f := range fields {
		for part := range strings.SplitSeq(f, ",") {
			bits, err := parsePart(part, i)
			if err != nil {
				return out, fmt.Errorf("schedule %q: %s %q: %w", s, scheduleFields[i].name, f, err)
			}
			out[i] |= bits
		}
	}
	return out, nil
}

func parsePart(part string, field int) (uint64, error) {
	f := scheduleFields[field]
	span, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("step %q is not a positive number", stepText)
		}
		step = n
	}
	lo, hi := f.lo, f.hi
	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		var err error
		if lo, err = parseUnit(from, field); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if hi, err = parseUnit(to, field); err != nil {
				return 0, err
			}
		case !stepped:
			hi = lo
		}
	}
	if lo > hi {
		return 0, fmt.Errorf("range %q runs backwards", span)
	}
	var bits uint64
	for v := lo; v <= hi; v += step {
		bits |= 1 << v
	}
	return bits, nil
}

func parseUnit(s string, field int) (int, error) {
	f := scheduleFields[field]
	if len(s) == 3 && f.words != "" {
		if at := strings.Index(f.words, strings.ToLower(s)); at >= 0 && at%3 == 0 {
			return f.lo + at/3, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.lo || n > f.hi {
		return 0, fmt.Errorf("%q is not between %d and %d", s, f.lo, f.hi)
	}
	return n, nil
}

func (s schedule) has(field, value int) bool { return s[field]&(1<<value) != 0 }

// next returns the first occurrence after t, or the zero time when there is none within ten years (31 February).
func (s schedule) next(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second).Add(time.Second)
	for end := t.AddDate(10, 0, 0); t.Before(end); {
		switch {
		case !s.has(4, int(t.Month())):
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.has(3, t.Day()) || !s.has(5, int(t.Weekday())):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case !s.has(2, t.Hour()):
			t = t.Truncate(time.Hour).Add(time.Hour)
		case !s.has(1, t.Minute()):
			t = t.Truncate(time.Minute).Add(time.Minute)
		case !s.has(0, t.Second()):
			t = t.Add(time.Second)
		default:
			return t
		}
	}
	return time.Time{}
}
