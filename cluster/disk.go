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
)

// diskAgain is how often a write that found the disk full is tried again.
const diskAgain = time.Second

// disk is the storage as raft has it. Raft panics, and with it the process, when it cannot write its term or read its log. Here a full
// disk makes raft wait for room, and after any other failure the node ends: nobody knows what of the write the disk has.
type disk struct {
	raft.LogStore
	raft.StableStore
	dir  string
	log  *slog.Logger
	life context.Context // ends as the node closes
	// founding says that a bootstrap is under way, whose caller waits for the error.
	founding atomic.Bool
	fail     func(error)
}

// full tells whether an error is that of a disk without room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// unusable gives an error back that raft bears, and tells the node of one after which it must not go on.
func (d *disk) unusable(err error) error {
	if err == nil || full(err) {
		return err
	}
	err = fmt.Errorf("--data-dir %s cannot be used any more: %w: see that the disk is well, then start this node again", d.dir, err)
	d.fail(err)
	return err
}

// must does what raft panics over when it fails. The goroutine that asks, which is raft's own loop, waits or ends here.
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
			d.log.Error("the disk of --data-dir is full: this node neither votes nor leads until there is room", "dir", d.dir, "err", err)
		}
		_ = sleep(d.life, diskAgain)
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
		return err // it was compacted, which is raft's business
	}
	return d.must(func() error { return err })
}

func (d *disk) Set(key, value []byte) error {
	return d.must(func() error { return d.StableStore.Set(key, value) })
}

func (d *disk) SetUint64(key []byte, value uint64) error {
	return d.must(func() error { return d.StableStore.SetUint64(key, value) })
}
