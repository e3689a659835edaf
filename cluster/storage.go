package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/rollcallhq/rollcall/fsm"
)

const (
	nodeIDKey = "rollcall.node-id"
	// termKey is the key under which hashicorp/raft keeps its current term.
	termKey = "CurrentTerm"
	// votedKey is the key under which hashicorp/raft keeps the last term in which it voted.
	votedKey   = "LastVoteTerm"
	promiseKey = "rollcall.founder"
)

// storage is the storage of raft.
type storage struct {
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	close  func() error
	// generation is the latest generation in the newest snapshot and the log, when they were opened.
	generation uint64
}

// openStorage opens the data directory, exclusively for this node. If it fails, it leaves nothing open.
func openStorage(cfg Config, log hclog.Logger) (*storage, error) {
	if cfg.DataDir == "" {
		mem := raft.NewInmemStore()
		return &storage{logs: mem, stable: mem, snaps: raft.NewInmemSnapshotStore(), close: func() error { return nil }}, nil
	}
	dir := filepath.Join(cfg.DataDir, "raft")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	path := filepath.Join(dir, "raft.db")
	if err := prepareLog(path); err != nil {
		return nil, fmt.Errorf("--data-dir %s: %w", cfg.DataDir, err)
	}
	bolt, err := openBolt(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w", dir, ErrDataDirLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("--data-dir: opening %s: %w", dir, err)
	}
	s := &storage{logs: bolt, stable: bolt, close: bolt.Close}
	if err := s.open(dir, cfg.NodeID, log); err != nil {
		return nil, fmt.Errorf("--data-dir %s: %w", cfg.DataDir, also(err, bolt.Close()))
	}
	return s, nil
}

func openBolt(path string) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: lockTimeout}})
}

// open does what requires bolt's lock.
func (s *storage) open(dir, nodeID string, log hclog.Logger) error {
	for _, dir := range []string{dir, filepath.Join(dir, "snapshots")} {
		if err := removeUnfinished(dir); err != nil {
			return err
		}
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, log.Named("snapshot"))
	if err != nil {
		return err
	}
	s.snaps = snaps
	if err := s.checkLog(); err != nil {
		return err
	}
	if err := s.identify(nodeID); err != nil {
		return err
	}
	list, err := snaps.List()
	if err != nil {
		return err
	}
	if err := checkSnapshots(filepath.Join(dir, "snapshots"), list); err != nil {
		return err
	}
	return s.checkSnapshot()
}

// identify binds the directory to its first node. The id is written before anything else, so a directory that has state but no id belongs to
// another program.
func (s *storage) identify(nodeID string) error {
	owner, err := s.stable.Get([]byte(nodeIDKey))
	if err == nil && len(owner) > 0 {
		if string(owner) != nodeID {
			return fmt.Errorf("%w: it belongs to %q, this node is %q", ErrOtherNode, owner, nodeID)
		}
		return nil
	}
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return fmt.Errorf("reading the node id: %w", err)
	}
	used, err := raft.HasExistingState(s.logs, s.stable, s.snaps)
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%w: it holds raft data of some other program", ErrOtherNode)
	}
	return s.stable.Set([]byte(nodeIDKey), []byte(nodeID))
}

// checkSnapshot reads the newest snapshot. Raft itself would silently fall back to an older one and lose what only the newer one holds.
func (s *storage) checkSnapshot() error {
	list, err := s.snaps.List()
	if err != nil || len(list) == 0 {
		return err
	}
	_, r, err := s.snaps.Open(list[0].ID)
	if err != nil {
		return damage("snapshot "+list[0].ID, err)
	}
	defer r.Close()
	state, err := fsm.ReadSnapshot(r)
	switch {
	case errors.Is(err, fsm.ErrNewer):
		return fmt.Errorf("snapshot %s: %w", list[0].ID, err)
	case err != nil:
		return damage("snapshot "+list[0].ID, err)
	}
	s.generation = max(s.generation, state.Generation)
	return nil
}

// fresh reports whether no cluster data is stored: no log, no snapshot, no vote. A process that is killed during its bootstrap leaves only a
// term. Raft would then neither bootstrap again nor elect a leader, so fresh resets the term. That is safe because the node has not voted
// yet.
func (s *storage) fresh() (bool, error) {
	last, err := s.logs.LastIndex()
	if err != nil {
		return false, fmt.Errorf("reading the log: %w", err)
	}
	snaps, err := s.snaps.List()
	if err != nil {
		return false, fmt.Errorf("listing snapshots: %w", err)
	}
	voted, err := s.stable.GetUint64([]byte(votedKey))
	if err != nil && !absent(err) {
		return false, fmt.Errorf("reading the last vote: %w", err)
	}
	if last > 0 || len(snaps) > 0 || voted > 0 {
		return false, nil
	}
	if err := s.stable.SetUint64([]byte(termKey), 0); err != nil {
		return false, fmt.Errorf("writing the term: %w", err)
	}
	return true, nil
}

// promised returns the founder that this node has promised to follow, zero for none.
func (s *storage) promised() (server, error) {
	data, err := s.stable.Get([]byte(promiseKey))
	if absent(err) || err == nil && len(data) == 0 {
		return server{}, nil
	}
	if err != nil {
		return server{}, fmt.Errorf("reading the promise: %w", err)
	}
	var p server
	if err := json.Unmarshal(data, &p); err != nil {
		return server{}, fmt.Errorf("reading the promise: %w", err)
	}
	return p, nil
}

func (s *storage) promise(to server) error {
	data, err := json.Marshal(to)
	if err == nil {
		err = s.stable.Set([]byte(promiseKey), data)
	}
	if err != nil {
		return fmt.Errorf("writing the promise: %w", err)
	}
	return nil
}

// absent reports whether err means that a stable store does not have the key. Each store has its own such error.
func absent(err error) bool {
	return err != nil && (errors.Is(err, raftboltdb.ErrKeyNotFound) || err.Error() == "not found")
}
