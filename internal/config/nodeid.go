package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcallhq/rollcall/fsm"
)

// nodeIDFile holds a node's name in its data directory. Raft's log there knows the node by that name, so the name must not
// follow a changed host name (a container gets a new one each time).
const nodeIDFile = "node-id"

// PermanentNodeID returns the node's name, which its data directory keeps if it has one.
func (c Config) PermanentNodeID() (string, error) {
	if c.DataDir == "" {
		return c.NodeID, nil
	}
	host, err := os.Hostname()
	if err != nil && c.NodeID == "" {
		return "", Usagef("--node-id, %s: missing, and the host has no name: %v", EnvName("node-id"), err)
	}
	return nodeID(c, host)
}

// nodeID returns the node's permanent name: the configured one, the one stored in the data directory, or host's first label.
// The first start stores it. A configured name that differs from the stored one is an error.
func nodeID(c Config, host string) (string, error) {
	path := filepath.Join(c.DataDir, nodeIDFile)
	kept, err := os.ReadFile(path)
	switch {
	case err == nil && len(kept) > 0: // a first start on a full disk leaves an empty file
		return agree(c, strings.TrimSpace(string(kept)), path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("--data-dir, %s: read the node's name: %w", EnvName("data-dir"), err)
	}
	id := c.NodeID
	if id == "" {
		id, _, _ = strings.Cut(host, ".")
	}
	if !fsm.ValidNodeID(id) {
		return "", Usagef("--node-id, %s: missing, and the host name %q will not do: give a name such as n1", EnvName("node-id"), host)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return "", fmt.Errorf("--data-dir, %s: give a directory that can be written: %w", EnvName("data-dir"), err)
	}
	if err := writeBeside(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("--data-dir, %s: give a directory that can be written and has room: write the node's name: %w", EnvName("data-dir"), err)
	}
	return id, nil
}

// writeBeside writes a file completely or not at all: a partial file would break every later start.
func writeBeside(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func agree(c Config, kept, path string) (string, error) {
	if !fsm.ValidNodeID(kept) {
		return "", fmt.Errorf("%s holds no node name: write the node's name into it, or start with an empty --data-dir", path)
	}
	if c.NodeID != "" && c.NodeID != kept {
		return "", Usagef("--node-id, %s: %q, but the data in %s belongs to %q: give that name, or another --data-dir", EnvName("node-id"), c.NodeID, c.DataDir, kept)
	}
	return kept, nil
}
