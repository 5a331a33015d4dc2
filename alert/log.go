package alert

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// Log is a sink that writes alerts to a logger, as records whose message is the text.
type Log struct{ logger *slog.Logger }

// NewLog makes a sink of the logger.
func NewLog(logger *slog.Logger) Log { return Log{logger: logger} }

// Send implements Sink. It fails only for an alert that lacks something.
func (l Log) Send(ctx context.Context, a Alert) error {
	if err := a.check(); err != nil {
		return fmt.Errorf("log alert %q: %w", a.Type, err)
	}
	level := slog.LevelInfo
	switch a.Level {
	case Warning:
		level = slog.LevelWarn
	case Error:
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("alert", string(a.Type)), slog.String("alertId", a.ID()), slog.String("subject", a.Subject),
		slog.Time("happened", a.Time.UTC()),
	}
	if a.Hint != "" {
		attrs = append(attrs, slog.String("hint", a.Hint))
	}
	var details []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(a.Details)) {
		details = append(details, slog.String(name, a.Details[name]))
	}
	if details != nil {
		attrs = append(attrs, slog.GroupAttrs("details", details...))
	}
	l.logger.LogAttrs(ctx, level, a.Text, attrs...)
	return nil
}
