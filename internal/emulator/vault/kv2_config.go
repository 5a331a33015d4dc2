package vault

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// configCall answers config, the settings of a version 2 engine.
func (m *mount) configCall(req *request) *answer {
	switch req.op {
	case read:
		return &answer{mount: m.kind, data: map[string]any{
			"max_versions": m.config.maxVersions, "cas_required": m.config.casRequired, "delete_version_after": m.config.deleteAfter.String(),
		}}
	case update:
		config := m.config
		for name, value := range req.fields {
			if err := config.set(name, value); err != nil {
				return failed(http.StatusBadRequest, fmt.Sprintf("error converting input for field %q: %v", name, err))
			}
		}
		m.config = config
		return done()
	}
	return unsupported()
}

func (c *engineConfig) set(name string, value any) (err error) {
	switch name {
	case "max_versions":
		c.maxVersions, err = count(value)
	case "cas_required":
		c.casRequired, err = strconv.ParseBool(fmt.Sprint(value))
	case "delete_version_after":
		c.deleteAfter, err = seconds(value)
		c.deleteAfter = max(c.deleteAfter, -time.Second)
		if c.deleteAfter < 0 {
			c.deleteAfter = -time.Second
		}
	}
	return err
}
