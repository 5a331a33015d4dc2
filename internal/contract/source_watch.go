package contract

import (
	"context"
	"strings"
	"testing"

	"github.com/keyferry/keyferry/vaultsync"
)

// watched passes everything on and looks at each error for what must never be in one.
type watched struct {
	vaultsync.Source
	t         *testing.T
	forbidden []string
}

func (w *watched) look(err error) {
	w.t.Helper()
	if err == nil {
		return
	}
	for _, s := range append(w.forbidden, "http://", "https://", "/v1/", `"errors"`, "X-Vault") {
		if strings.Contains(err.Error(), s) {
			w.t.Errorf("error %q holds %q", err, s)
		}
	}
}

func (w *watched) Mounts(ctx context.Context) ([]vaultsync.Mount, error) {
	ms, err := w.Source.Mounts(ctx)
	w.look(err)
	return ms, err
}

func (w *watched) List(ctx context.Context, m vaultsync.Mount, dir string) ([]string, error) {
	names, err := w.Source.List(ctx, m, dir)
	w.look(err)
	return names, err
}

func (w *watched) Metadata(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, error) {
	s, err := w.Source.Metadata(ctx, m, path)
	w.look(err)
	return s, err
}

func (w *watched) Read(ctx context.Context, m vaultsync.Mount, path string) (vaultsync.State, vaultsync.Fields, error) {
	s, fields, err := w.Source.Read(ctx, m, path)
	w.look(err)
	return s, fields, err
}
