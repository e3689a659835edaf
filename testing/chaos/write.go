package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes the report into dir as JSON and as a page, with the nodes' logs next to it. It writes nothing if dir is empty.
func (r *Report) write(dir string, logs map[string]string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	var page bytes.Buffer
	if err := r.page(&page); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	base := filepath.Join(dir, r.title())
	files := map[string][]byte{base + ".json": data, base + ".html": page.Bytes()}
	for node, log := range logs {
		files[base+"-"+nodeID(node)+".log"] = []byte(log)
	}
	for name, content := range files {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// title returns the report's file name without its extension: what ran, with which seed.
func (r *Report) title() string {
	names := map[string]bool{}
	for _, f := range r.Faults {
		names[f.Name] = true
	}
	what := fmt.Sprintf("%d-nemeses", len(names))
	if len(names) == 1 {
		what = r.Faults[0].Name
	}
	if r.Sentinel {
		what = strings.TrimPrefix(what+"-sentinel", "-")
	}
	if r.Cluster {
		what += "-redis-cluster"
	}
	return fmt.Sprintf("chaos-%s-%dn-seed%d", what, r.Nodes, r.Seed)
}
