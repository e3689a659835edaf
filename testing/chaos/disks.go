package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rollcallhq/rollcall/client"
)

func disks() []Nemesis {
	return []Nemesis{
		{Name: "disk-full-leader", Kind: "disk", Lasts: true, Disks: true, Doc: "the leader's data directory has no byte left; syncs are asked for, so that raft has to write", Do: fillDisk(theLeader)},
		{Name: "disk-full-owner", Kind: "disk", Lasts: true, Disks: true, Doc: "the same to a node that does not lead", Do: fillDisk(anOwner)},
	}
}

func fillDisk(who picker) cutter {
	return func(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
		s, err := who(ctx, w, dice)
		if err != nil {
			return "", nil, err
		}
		fill := filepath.Join(w.dataOf(s), "fill")
		heal := func(context.Context) error { return os.Remove(fill) }
		size, err := fillUp(fill)
		if err != nil {
			return "", heal, err
		}
		for range 3 { // each appends a report to raft's log, if it can
			if c, err := w.client(s); err == nil {
				_, _ = c.Sync(ctx, client.ActionOptions{}) // it may well fail while the disk is full
			}
		}
		return fmt.Sprintf("%d MB into the data directory of %s", size>>20, nodeID(s)), heal, nil
	}
}

// fillUp writes a file until nothing more fits, and returns its size.
func fillUp(path string) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		return size, fmt.Errorf("the disk did not become full: %w", err)
	}
	return size, nil
}

// zeros is an endless reader of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
