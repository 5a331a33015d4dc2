package cli

import (
	"fmt"
	"io"
	"sync"
)

// bar shows how far a run is, on a terminal only. It is safe for concurrent use.
type bar struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	shown int // hundredths that are on the screen; -1: no bar is
}

func newBar(w io.Writer) *bar { return &bar{w: w, terminal: terminal(w), shown: -1} }

// show draws the bar when a further hundredth is done.
func (b *bar) show(done, total int) {
	if !b.terminal || total == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	percent := done * 100 / total
	if percent == b.shown {
		return
	}
	b.shown = percent
	const width = 30
	fill := percent * width / 100
	fmt.Fprintf(b.w, "\r[%s%s] %d/%d", hashes[:fill], dots[:width-fill], done, total)
}

const (
	hashes = "##############################"
	dots   = ".............................."
)

// clear takes the bar off the screen.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown >= 0 {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = -1
	}
}
