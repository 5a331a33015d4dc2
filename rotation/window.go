package rotation

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// window is when a target may be touched. The zero window is always open.
type window struct {
	days     [7]bool // on which it opens, by time.Weekday
	from, to int     // minutes of the day; to may be less than from: it then ends on the next day
	zone     *time.Location
	set      bool
}

var windowForm = regexp.MustCompile(`^(?:([A-Z][a-z]{2}(?:[,-][A-Z][a-z]{2})*) )?([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})(?: (\S{1,64}))?$`)

var weekdays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// parseWindow reads "[days ]HH:MM-HH:MM[ zone]", as in "Mon-Fri 01:00-05:00" or "Sat,Sun 22:00-04:00 Europe/Berlin". Without
// days it opens every day, without a zone the times are UTC. Empty text is the window that is always open.
func parseWindow(text string) (window, error) {
	if text == "" {
		return window{}, nil
	}
	m := windowForm.FindStringSubmatch(text)
	if m == nil {
		return window{}, fmt.Errorf("%q is not like Mon-Fri 01:00-05:00 Europe/Berlin", text)
	}
	w := window{set: true, zone: time.UTC}
	var faults [4]error
	w.days, faults[0] = parseDays(m[1])
	w.from, faults[1] = minuteOf(m[2], m[3])
	w.to, faults[2] = minuteOf(m[4], m[5])
	if w.from == w.to && faults[1] == nil {
		faults[3] = errors.New("it opens and closes at the same time")
	}
	if m[6] != "" {
		zone, err := time.LoadLocation(m[6])
		if err != nil || m[6] == "Local" {
			return window{}, fmt.Errorf("%q is no time zone that this machine knows", m[6])
		}
		w.zone = zone
	}
	return w, errors.Join(faults[:]...)
}

// parseDays reads days and ranges of them, which may run over the weekend; "" is every day.
func parseDays(text string) (days [7]bool, err error) {
	if text == "" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if !ranged {
			to = from
		}
		if from < 0 || to < 0 {
			return days, fmt.Errorf("%q is none of %s, or a range of them", part, strings.Join(weekdays, " "))
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func minuteOf(hours, minutes string) (int, error) {
	h, _ := strconv.Atoi(hours) // two digits
	m, _ := strconv.Atoi(minutes)
	if at := 60*h + m; m < 60 && at <= 24*60 {
		return at, nil
	}
	return 0, fmt.Errorf("%s:%s is no time of the day", hours, minutes)
}

// open reports whether the window is open at that time.
func (w window) open(at time.Time) bool {
	if !w.set {
		return true
	}
	at = at.In(w.zone)
	minute, today := 60*at.Hour()+at.Minute(), int(at.Weekday())
	if w.from < w.to {
		return w.days[today] && w.from <= minute && minute < w.to
	}
	return w.days[today] && minute >= w.from || w.days[(today+6)%7] && minute < w.to
}
