package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// nodeIDFile holds a node's name in its data directory: raft's log there knows
// the node by that name, so it must not follow a changed host name (a container
// gets a new one each time).
const nodeIDFile = "node-id"

// nodeID returns the node's name for good: the configured one, the one that the
// data directory remembers, or host's first label. The first start writes it
// down. A configured name that differs from the remembered one is an error.
func nodeID(c Config, host string) (string, error) {
	path := filepath.Join(c.DataDir, nodeIDFile)
	kept, err := os.ReadFile(path)
	switch {
	case err == nil && len(kept) > 0: // an empty one was left by a first start on a full disk
		return agree(c, strings.TrimSpace(string(kept)), path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("--data-dir, %s: read the node's name: %w", envName("data-dir"), err)
	}
	id := c.NodeID
	if id == "" {
		id, _, _ = strings.Cut(host, ".")
	}
	if !goodNodeID(id) {
		return "", wrong("--node-id, %s: missing, and the host name %q will not do: give a name such as n1", envName("node-id"), host)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return "", fmt.Errorf("--data-dir, %s: give a directory that can be written: %w", envName("data-dir"), err)
	}
	if err := writeBeside(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("--data-dir, %s: give a directory that can be written and has room: write the node's name: %w", envName("data-dir"), err)
	}
	return id, nil
}

// writeBeside writes a file whole or not at all: half of one would be in the way of every later start.
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
	if !goodNodeID(kept) {
		return "", fmt.Errorf("%s holds no node name: write the node's name into it, or start with an empty --data-dir", path)
	}
	if c.NodeID != "" && c.NodeID != kept {
		return "", wrong("--node-id, %s: %q, but the data in %s belongs to %q: give that name, or another --data-dir", envName("node-id"), c.NodeID, c.DataDir, kept)
	}
	return kept, nil
}
