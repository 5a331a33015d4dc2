package rotation

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse("Mon 2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		window, at string
		open       bool
	}{
		{"", "Mon 2026-06-01 12:00", true},
		{"01:00-05:00", "Mon 2026-06-01 00:59", false},
		{"01:00-05:00", "Mon 2026-06-01 01:00", true},
		{"01:00-05:00", "Mon 2026-06-01 04:59", true},
		{"01:00-05:00", "Mon 2026-06-01 05:00", false},
		{"Sat,Sun 01:00-05:00", "Mon 2026-06-01 02:00", false},
		{"Mon-Fri 01:00-05:00", "Fri 2026-06-05 02:00", true},
		{"Mon-Fri 01:00-05:00", "Sat 2026-06-06 02:00", false},
		{"Fri-Mon 01:00-05:00", "Sun 2026-06-07 02:00", true},
		{"Fri-Mon 01:00-05:00", "Tue 2026-06-02 02:00", false},
		{"Sun 22:00-04:00", "Mon 2026-06-01 03:59", true}, // it opened on Sunday
		{"Sun 22:00-04:00", "Mon 2026-06-01 22:30", false},
		{"Sun 22:00-04:00", "Sun 2026-06-07 22:00", true},
		{"Sun 22:00-04:00", "Sun 2026-06-07 03:00", false},
		{"00:00-24:00", "Sun 2026-06-07 23:59", true},
		{"02:00-03:00 Europe/Berlin", "Mon 2026-06-01 00:30", true}, // UTC+2 in summer
		{"02:00-03:00 Europe/Berlin", "Mon 2026-12-07 01:30", true}, // UTC+1 in winter
		{"02:00-03:00 Europe/Berlin", "Mon 2026-12-07 00:30", false},
	} {
		w, err := parseWindow(c.window)
		if err != nil || w.open(at(c.at)) != c.open {
			t.Errorf("%q at %s: %v, %v", c.window, c.at, w.open(at(c.at)), err)
		}
	}
}

func TestWindowsThatAreNone(t *testing.T) {
	for _, bad := range []string{"always", "1:00-5:00", "01:00", "25:00-26:00", "01:60-02:00", "01:00-01:00", "Mo 01:00-02:00",
		"Mon-Xyz 01:00-02:00", "Mon,, 01:00-02:00", "01:00-02:00 Mars/Olympus", "01:00-02:00 Local", "01:00-02:00 ../../etc", " 01:00-02:00"} {
		if _, err := parseWindow(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add("Mon-Fri 01:00-05:00 Europe/Berlin")
	f.Add("Sat,Sun 22:00-04:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := parseWindow(text)
		if err != nil || text == "" {
			return
		}
		openMinutes := 0
		for m := range 7 * 24 * 60 {
			if w.open(now.Add(time.Duration(m) * time.Minute)) {
				openMinutes++
			}
		}
		if openMinutes == 0 {
			t.Errorf("%q never opens", text)
		}
	})
}
