package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// diskAgain is the time between two attempts of a write that found the disk full.
const diskAgain = time.Second

// disk wraps the storage for raft. Raft panics, which ends the process, if it cannot write its term or read its log. With disk, raft waits
// while the disk is full. After any other failure the node ends, because it is unknown how much of the write is on the disk.
type disk struct {
	raft.LogStore
	raft.StableStore
	dir  string
	log  *slog.Logger
	life context.Context // ends when the node closes
	// founding is true during a bootstrap, whose caller handles the error.
	founding atomic.Bool
	fail     func(error)
}

// full reports whether err means that the disk has no room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// unusable returns err to raft. If the node must not go on after err, unusable reports it to the node as a failure.
func (d *disk) unusable(err error) error {
	if err == nil || full(err) {
		return err
	}
	err = fmt.Errorf("--data-dir %s cannot be used any more: %w: check the disk, then start this node again", d.dir, err)
	d.fail(err)
	return err
}

// must runs do for raft's main loop, where an error would make raft panic. While the disk is full, must waits and runs do again. After any other
// error it reports that the node must end, and ends the calling goroutine. Only while a cluster is founded does must return an error.
func (d *disk) must(do func() error) error {
	for told := false; ; told = true {
		err := do()
		switch {
		case err == nil || d.founding.Load():
			return d.unusable(err)
		case !full(err) || d.life.Err() != nil:
			_ = d.unusable(err)
			runtime.Goexit()
		case !told:
			d.log.Error("the disk of --data-dir is full: this node neither votes nor leads until there is room", "dir", d.dir, "error", err)
		}
		_ = wait.For(d.life, diskAgain)
	}
}

func (d *disk) StoreLog(log *raft.Log) error     { return d.unusable(d.LogStore.StoreLog(log)) }
func (d *disk) StoreLogs(logs []*raft.Log) error { return d.unusable(d.LogStore.StoreLogs(logs)) }
func (d *disk) DeleteRange(from, to uint64) error {
	return d.unusable(d.LogStore.DeleteRange(from, to))
}

func (d *disk) GetLog(index uint64, log *raft.Log) error {
	err := d.LogStore.GetLog(index, log)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err // it was compacted, which raft handles
	}
	return d.must(func() error { return err })
}

func (d *disk) Set(key, value []byte) error {
	return d.must(func() error { return d.StableStore.Set(key, value) })
}

func (d *disk) SetUint64(key []byte, value uint64) error {
	return d.must(func() error { return d.StableStore.SetUint64(key, value) })
}
