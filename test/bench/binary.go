package main

import (
	"context"
	"os"
)

// binarySize is what is uploaded for each deployment, before compression.
func binarySize() figure {
	return figure{
		name: "binary_mb", unit: "MB", aim: "< 45",
		measure: func(_ context.Context, l *lab) (float64, string, error) {
			info, err := os.Stat(l.binary)
			if err != nil {
				return 0, "", err
			}
			return float64(info.Size()) / 1e6, "size of " + l.binary, nil
		},
	}
}
