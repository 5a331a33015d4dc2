package vaultsync_test

import (
	"github.com/keyferry/keyferry/vaultsync"
)

func byKey(r *vaultsync.Rule) { r.As = vaultsync.ShapeKey }
