package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/fsm"
)

func TestNodeID(t *testing.T) {
	c := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	for _, host := range []string{"box.example.org", "renamed"} {
		if id, err := nodeID(c, host); id != "box" || err != nil {
			t.Errorf("on host %s: %q, %v", host, id, err)
		}
	}
	c.NodeID = "n2"
	var usage *UsageError
	if _, err := c.PermanentNodeID(); !errors.As(err, &usage) {
		t.Errorf("serve does not return a usage error: %v", err)
	}
	if _, err := nodeID(c, "box"); err == nil || !strings.Contains(err.Error(), "--node-id, ROLLCALL_NODE_ID") {
		t.Errorf("another name for the data: %v", err)
	}
	if _, err := nodeID(Config{DataDir: t.TempDir()}, "(none)"); err == nil {
		t.Error("a host name that will not do was taken")
	}
}

// FuzzNodeID reads the name stored in a data directory and checks that the result is a valid name or an error, and never
// differs from the configured name.
func FuzzNodeID(f *testing.F) {
	f.Add([]byte("n1\n"), "n1")
	f.Add([]byte("n1"), "n2")
	f.Add([]byte{}, "")
	f.Add([]byte("n 1"), "")
	f.Add([]byte("\x00\xff"), "n1")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, kept []byte, configured string) {
		if configured != "" && !fsm.ValidNodeID(configured) {
			return
		}
		path := filepath.Join(dir, nodeIDFile)
		if err := os.WriteFile(path, kept, 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := nodeID(Config{DataDir: dir, NodeID: configured}, "host.example.org")
		if err != nil {
			if id != "" {
				t.Fatalf("%q, %v", id, err)
			}
			return
		}
		if !fsm.ValidNodeID(id) || configured != "" && id != configured || len(kept) > 0 && id != strings.TrimSpace(string(kept)) {
			t.Fatalf("%q and %q give %q", kept, configured, id)
		}
	})
}
