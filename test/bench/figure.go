package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"text/tabwriter"
)

// figure is one promise that can be measured. A new one is a file with a
// function that returns a figure, and a line in figures.
type figure struct {
	name string // in the table and the file
	unit string
	aim  string // what was promised, for people; may be empty
	// measure returns the value and how it came about, in a few words.
	measure func(context.Context, *lab) (value float64, how string, err error)
}

// figures lists them in the order in which they are measured: the quiet ones first.
func figures() []figure {
	return []figure{
		coldStart(),
		binarySize(),
		rotationCalls(),
		rotationOverhead(),
		firstSpeedup(),
		noopSpeedup(),
		noopCallsOverFormula(),
		noopVsLimit(),
		ceilingRatio(),
		ceiling429Share(),
		costGrowth(),
		peakRSS(),
	}
}

// measurement is a figure with its value.
type measurement struct {
	figure
	value float64
	how   string
}

// table is what people read.
func table(all []measurement) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tvalue\tunit\taim\thow")
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%g\t%s\t%s\t%s\n", m.name, rounded(m.value), m.unit, m.aim, m.how)
	}
	_ = w.Flush() // to a strings.Builder
	return b.String()
}

// write makes the file.
func write(file string, all []measurement) error {
	type entry struct {
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	}
	figures := map[string]entry{}
	for _, m := range all {
		figures[m.name] = entry{rounded(m.value), m.unit}
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

// rounded keeps two decimals: no figure is known better.
func rounded(v float64) float64 { return math.Round(v*100) / 100 }
