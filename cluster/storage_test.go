package cluster

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// refused opens a node that must fail to open, and returns the error.
func refused(t *testing.T, cfg Config) error {
	t.Helper()
	n, err := Open(t.Context(), cfg)
	if err == nil {
		shut(t, n)
		t.Fatal("the node opened")
	}
	return err
}

// store opens the data directory of cfg without a node.
func store(t *testing.T, cfg Config) *storage {
	t.Helper()
	s, err := openStorage(cfg, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t *testing.T, s *storage) {
	t.Helper()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

func TestDataDirOfAnotherNode(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	shut(t, openReady(t, cfg))
	cfg.NodeID = "n2"
	if err := refused(t, cfg); !errors.Is(err, ErrOtherNode) || !strings.Contains(err.Error(), `it belongs to "n1", this node is "n2"`) {
		t.Errorf("got %v", err)
	}
	cfg.NodeID = "n1"
	openReady(t, cfg)
}

func TestDataDirOfAnotherProgram(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	s := store(t, cfg)
	if err := errors.Join(s.stable.Set([]byte(nodeIDKey), nil), s.stable.SetUint64([]byte(termKey), 5)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if err := refused(t, cfg); !errors.Is(err, ErrOtherNode) {
		t.Errorf("got %v", err)
	}
}

func TestLockedDataDir(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	n := openReady(t, cfg)
	if err := refused(t, cfg); !errors.Is(err, ErrDataDirLocked) {
		t.Errorf("got %v", err)
	}
	if err := n.Ready(); err != nil {
		t.Errorf("the first node: %v", err)
	}
}

// A process was killed between the two writes of its bootstrap.
func TestHalfABootstrapIsFinished(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	s := store(t, cfg)
	if err := s.stable.SetUint64([]byte(termKey), 1); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	openReady(t, cfg)
}

// writeSnapshot adds a snapshot that is newer than all others.
func writeSnapshot(t *testing.T, s *storage, text string) raft.SnapshotSink {
	t.Helper()
	_, transport := raft.NewInmemTransport("")
	self := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "127.0.0.1:1"}}}
	sink, err := s.snaps.Create(1, 1000, 1000, self, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(sink, text); err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestNewerSnapshotIsNotPassedOver(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	n := openReady(t, cfg)
	if err := n.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	shut(t, n)
	s := store(t, cfg)
	if err := writeSnapshot(t, s, `{"version":99,"state":{}}`).Close(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if err := refused(t, cfg); !errors.Is(err, fsm.ErrNewer) {
		t.Errorf("got %v", err)
	}
}

func TestUnfinishedSnapshotIsRemoved(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	shut(t, openReady(t, cfg))
	s := store(t, cfg)
	writeSnapshot(t, s, "half")
	closeStore(t, s)
	openReady(t, cfg)
	entries, err := os.ReadDir(filepath.Join(cfg.DataDir, "raft", "snapshots"))
	if err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestNewerEntryKeepsTheNodeFromServing(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	start := func() *Node {
		n, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		// It cannot leave the view, which is an error of Close.
		t.Cleanup(func() { _ = n.Close(context.Background()) })
		return n
	}
	n := start()
	eventually.True(t, "ready", func() bool { return n.Ready() == nil })
	if err := n.raft.Apply([]byte(`{"v":9,"op":"dance"}`), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); !errors.Is(err, fsm.ErrNewer) {
		t.Errorf("Ready: %v", err)
	}
	if _, err := n.Apply(t.Context(), fsm.SetService{}); !errors.Is(err, fsm.ErrNewer) {
		t.Errorf("Apply: %v", err)
	}
	_ = n.Close(t.Context())
	again := start()
	eventually.True(t, "the restarted node says so", func() bool { return errors.Is(again.Ready(), fsm.ErrNewer) })
}

func TestRaftPortInUse(t *testing.T) {
	t.Parallel()
	first := openReady(t, config(t.TempDir()))
	cfg := config(t.TempDir())
	cfg.NodeAddr = first.Status().NodeAddr
	if err := refused(t, cfg); !strings.Contains(err.Error(), "--node-addr") {
		t.Errorf("got %v", err)
	}
	cfg.NodeAddr = "127.0.0.1:0"
	openReady(t, cfg) // the failed start does not keep the directory locked
}
