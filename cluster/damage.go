package cluster

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/boltfile"
)

// ErrDamaged means that raft's stored data cannot be read completely. Nothing of it was changed.
var ErrDamaged = errors.New("damaged")

// damage returns an ErrDamaged that names the damaged part and says what to do about it.
func damage(what string, why error) error {
	return fmt.Errorf("%s: %w (%w). Nothing was changed. Move the folder raft of the --data-dir aside and start again: a node of a cluster gets everything "+
		"from the others; a node that is alone founds a new cluster, and its rooms are still in Redis (docs/troubleshooting.md#damaged-data)", what, ErrDamaged, why)
}

// prepareLog makes sure that the file at path is an intact database before anything maps it. It creates a missing database under another name
// and renames it. If a full disk interrupted the creation in place, each later start would report damage.
func prepareLog(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && info.Size() == 0:
		return makeBeside(path)
	case err != nil:
		return err
	}
	for until := time.Now().Add(lockTimeout); ; time.Sleep(lockTimeout / 20) {
		err := boltfile.Check(path)
		switch {
		case errors.Is(err, boltfile.ErrLocked) && time.Now().Before(until):
			continue // perhaps by a process that is about to end
		case errors.Is(err, boltfile.ErrLocked):
			return ErrDataDirLocked
		case errors.Is(err, boltfile.ErrDamaged):
			return damage(filepath.Join("raft", filepath.Base(path)), err)
		}
		return err
	}
}

// makeBeside creates an empty database at path, completely or not at all.
func makeBeside(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "raft.db.*"+unfinished)
	if err != nil {
		return fmt.Errorf("%s: %w", writable, err)
	}
	beside := f.Name()
	if err = f.Close(); err == nil {
		err = fillBeside(beside, path)
	}
	if err != nil {
		_ = os.Remove(beside)
		return fmt.Errorf("%s: %w", writable, err)
	}
	return nil
}

// writable tells the operator what the data directory must be.
const writable = "it must be writable and have room: free some, or give another directory"

func fillBeside(beside, path string) error {
	bolt, err := openBolt(beside)
	if err != nil {
		return err
	}
	if err := bolt.Close(); err != nil {
		return err
	}
	if err := place(beside, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// place renames beside to path. It never replaces a file that is not empty, because another process may have opened that file in the
// meantime.
func place(beside, path string) error {
	err := os.Link(beside, path)
	if err == nil {
		return os.Remove(beside)
	}
	if info, at := os.Stat(path); at == nil && info.Size() > 0 {
		return os.Remove(beside)
	}
	return os.Rename(beside, path)
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// unfinished is the file name suffix of what is still being written, or never was completed.
const unfinished = ".tmp"

// removeUnfinished removes the unfinished files of a killed process. Nothing else ever would.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != unfinished {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// checkSnapshots returns an ErrDamaged if a snapshot with unreadable metadata would be the newest: raft skips such a snapshot and would
// continue from an older one. Older unreadable snapshots do no harm. Raft removes old snapshots piece by piece, and a kill may interrupt
// that.
func checkSnapshots(dir string, readable []*raft.SnapshotMeta) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	known := snapshotName{}
	for _, s := range readable {
		if name := (snapshotName{s.Term, s.Index}); name.above(known) {
			known = name
		}
	}
	for _, e := range entries {
		name, ok := parseSnapshotName(e.Name())
		if !ok || !name.above(known) {
			continue
		}
		path := filepath.Join(dir, e.Name(), "meta.json")
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, new(raft.SnapshotMeta))
		}
		if err == nil {
			err = errors.New("it cannot be used")
		}
		return damage(filepath.Join("raft", "snapshots", e.Name(), "meta.json"), err)
	}
	return nil
}

// snapshotName is the part of a snapshot's directory name that orders snapshots by age.
type snapshotName struct{ term, index uint64 }

func (n snapshotName) above(o snapshotName) bool {
	return cmp.Or(cmp.Compare(n.term, o.term), cmp.Compare(n.index, o.index)) > 0
}

// parseSnapshotName returns false for a directory that is not a snapshot of raft.
func parseSnapshotName(name string) (n snapshotName, ok bool) {
	var ms uint64
	read, err := fmt.Sscanf(name, "%d-%d-%d", &n.term, &n.index, &ms)
	return n, err == nil && read == 3 && name == fmt.Sprintf("%d-%d-%d", n.term, n.index, ms)
}

// checkLog reads every entry that raft will read. Raft panics if an entry is unreadable or missing.
func (s *storage) checkLog() (err error) {
	at := uint64(0)
	defer func() {
		if cause := recover(); cause != nil {
			err = damage(fmt.Sprintf("raft's log at index %d", at), fmt.Errorf("%v", cause))
		}
	}()
	for _, key := range []string{termKey, votedKey} {
		if value, err := s.stable.Get([]byte(key)); err == nil && len(value) != binary.Size(uint64(0)) && len(value) > 0 {
			return damage("raft's "+key, fmt.Errorf("it has %d bytes", len(value)))
		}
	}
	first, err := s.logs.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.logs.LastIndex()
	if err != nil {
		return err
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return err
	}
	if len(snaps) > 0 {
		first = snaps[0].Index + 1 // entries before it may be missing, which is no damage
	}
	for at = max(first, 1); at <= last; at++ {
		found, err := readEntry(s.logs, at)
		if err != nil {
			return damage(fmt.Sprintf("raft's log at index %d", at), err)
		}
		s.generation = max(s.generation, found)
	}
	return nil
}

// readEntry reads and decodes one entry, and returns its generation if it has one. It accepts an entry of a newer build: the state machine
// reports that.
func readEntry(logs raft.LogStore, at uint64) (generation uint64, err error) {
	var entry raft.Log
	if err := logs.GetLog(at, &entry); err != nil {
		return 0, err
	}
	if entry.Index != at {
		return 0, fmt.Errorf("it has the index %d", entry.Index)
	}
	switch entry.Type {
	case raft.LogConfiguration:
		raft.DecodeConfiguration(entry.Data)
	case raft.LogCommand:
		cmd, err := fsm.Decode(entry.Data)
		if errors.Is(err, fsm.ErrCorrupt) {
			return 0, err
		}
		if found, ok := cmd.(fsm.Found); ok {
			return found.Generation, nil
		}
	}
	return 0, nil
}
