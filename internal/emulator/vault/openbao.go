package vault

import (
	"fmt"
	"path"
	"sort"
	"strconv"
)

// detailed answers OpenBao's detailed-metadata/<dir>: LIST names one folder,
// SCAN the whole subtree, both with the metadata of each key. Source: OpenBao's
// internal/builtin/logical/kv/path_metadata.go.
func (c *call) detailed(dir string) *answer {
	var names []string
	switch c.req.op {
	case list:
		names = c.page(c.mount.v2.list(dir))
	case scan:
		names = c.mount.v2.walk(dir)
	default:
		return unsupported()
	}
	if len(names) == 0 {
		return notFound()
	}
	info := map[string]any{}
	for _, name := range names {
		// OpenBao cleans the path first, so a folder shows the metadata of the
		// secret that has the same name.
		k, ok := c.mount.v2.get(path.Join(dir, name))
		if !ok {
			info[name] = map[string]any{}
			continue
		}
		info[name] = c.show(k)
	}
	return &answer{data: map[string]any{"keys": names, "key_info": info}, mount: c.mount.kind}
}

// page applies after and limit.
func (c *call) page(names []string) []string {
	if after, ok := c.req.fields["after"].(string); ok {
		names = names[sort.Search(len(names), func(i int) bool { return names[i] > after }):]
	}
	if limit, err := strconv.Atoi(fmt.Sprint(c.req.fields["limit"])); err == nil && limit > 0 && limit < len(names) {
		names = names[:limit]
	}
	return names
}
