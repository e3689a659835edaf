package cluster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// sick is a disk whose writes fail once it is broken.
type sick struct {
	*raft.InmemStore
	broken atomic.Pointer[error]
}

func (s *sick) fails(err error) {
	s.broken.Store(&err)
}

func (s *sick) SetUint64(key []byte, value uint64) error {
	if err := s.broken.Load(); err != nil && *err != nil {
		return *err
	}
	return s.InmemStore.SetUint64(key, value)
}

// overSick starts raft as the only voter of a founded cluster, on a store that may fail. Its first election is about to begin.
func overSick(t *testing.T, life context.Context) (r *raft.Raft, store *sick, failed chan error) {
	t.Helper()
	store, failed = &sick{InmemStore: raft.NewInmemStore()}, make(chan error, 10)
	d := &disk{LogStore: store, StableStore: store, dir: "/data", log: slog.New(slog.DiscardHandler), life: life, fail: func(err error) { failed <- err }}
	conf := raftConfig(config(""), hclog.NewNullLogger(), make(chan bool, 10))
	addr, transport := raft.NewInmemTransport("")
	r, err := raft.NewRaft(conf, fsm.New(), d, d, raft.NewInmemSnapshotStore(), transport)
	if err != nil {
		t.Fatal(err)
	}
	self := raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: addr}}}
	d.founding.Store(true)
	store.fails(syscall.EIO)
	if err := r.BootstrapCluster(self).Error(); err == nil {
		t.Error("the bootstrap over a broken disk did not fail")
	}
	if err := <-failed; !errors.Is(err, syscall.EIO) {
		t.Errorf("the node heard of %v", err)
	}
	store.fails(nil)
	if err := r.BootstrapCluster(self).Error(); err != nil {
		t.Fatal(err)
	}
	d.founding.Store(false)
	return r, store, failed
}

// Raft panics, which ends the process, when it cannot write its term.
func TestADiskThatFailsEndsTheNodeAndNotTheProcess(t *testing.T) {
	t.Parallel()
	r, store, failed := overSick(t, t.Context())
	store.fails(syscall.EIO)
	select {
	case err := <-failed:
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "/data") {
			t.Errorf("got %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	if err := r.Shutdown().Error(); err != nil {
		t.Error(err)
	}
}

func TestADiskThatIsFullIsWaitedFor(t *testing.T) {
	t.Parallel()
	life, end := context.WithCancel(t.Context())
	r, store, failed := overSick(t, life)
	store.fails(syscall.ENOSPC)
	time.Sleep(3 * time.Second) // the election begins within one
	if r.State() == raft.Leader || len(failed) > 0 {
		t.Fatalf("it is %v, and %d failures were told", r.State(), len(failed))
	}
	store.fails(nil)
	eventually.True(t, "it leads once there is room", func() bool { return r.State() == raft.Leader })
	if err := r.Shutdown().Error(); err != nil {
		t.Error(err)
	}
	end()
	life, end = context.WithCancel(t.Context())
	r, store, _ = overSick(t, life)
	store.fails(syscall.ENOSPC)
	time.Sleep(2 * time.Second)
	end() // a node that closes does not wait
	if err := r.Shutdown().Error(); err != nil {
		t.Error(err)
	}
}

// damaged opens a node on damaged data, twice: the first attempt must not have changed anything.
func damaged(t *testing.T, cfg Config, what string) {
	t.Helper()
	for range 2 {
		err := refused(t, cfg)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "Move the folder raft") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line that names %s and the cure", err, what)
		}
	}
}

// stopped returns a data directory with a log and a snapshot.
func stopped(t *testing.T) (cfg Config, dir string) {
	t.Helper()
	cfg = config(t.TempDir())
	n := openReady(t, cfg)
	if err := n.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := n.Apply(t.Context(), fsm.SetService{Running: true}); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, n)
	return cfg, filepath.Join(cfg.DataDir, "raft")
}

func TestDamagedData(t *testing.T) {
	t.Parallel()
	snapshot := func(t *testing.T, dir, file string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", file))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", file, err)
		}
		return found[len(found)-1]
	}
	write := func(t *testing.T, path string, change func([]byte) []byte) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(data), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, harm := range map[string]func(t *testing.T, dir string) string{
		"the log is cut short": func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "raft.db"), func(b []byte) []byte { return b[:3*4096] })
			return "raft.db"
		},
		"a page of the log is overwritten": func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "raft.db"), func(b []byte) []byte {
				for at := 2 * 4096; at < len(b); at += 4096 {
					copy(b[at:], make([]byte, 64))
				}
				return b
			})
			return "raft.db"
		},
		"an entry of the log is overwritten": func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "raft.db"), func(b []byte) []byte {
				return []byte(strings.ReplaceAll(string(b), `"op":"service"`, `"op";"service"`))
			})
			return "raft's log at index"
		},
		"a snapshot is cut to half": func(t *testing.T, dir string) string {
			write(t, snapshot(t, dir, "state.bin"), half)
			return "snapshot"
		},
		"what a snapshot says of itself is cut to half": func(t *testing.T, dir string) string {
			write(t, snapshot(t, dir, "meta.json"), half)
			return "meta.json"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, dir := stopped(t)
			damaged(t, cfg, harm(t, dir))
		})
	}
}

// Raft removes an old snapshot piece by piece, and a kill may interrupt that. Other programs leave directories, too.
func TestWhatIsLeftOfAnOldSnapshotIsNoDamage(t *testing.T) {
	t.Parallel()
	cfg, dir := stopped(t)
	for _, name := range []string{"1-1-1000", "@eaDir", "1-2"} {
		if err := os.Mkdir(filepath.Join(dir, "snapshots", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, openReady(t, cfg))
	if err := os.Mkdir(filepath.Join(dir, "snapshots", "9-9000-1000"), 0o700); err != nil {
		t.Fatal(err)
	}
	damaged(t, cfg, "9-9000-1000")
}

// Files that a full disk left behind at a first start must not prevent the next one.
func TestAHalfWrittenFirstStartIsNotInTheWay(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	dir := filepath.Join(cfg.DataDir, "raft")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"raft.db": "", "raft.db.123.tmp": "half"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openReady(t, cfg)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
