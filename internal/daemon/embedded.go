package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/rollcallhq/rollcall/internal/config"
)

// embedded is the in-memory Redis of a single node that is configured without a Redis server. Its keys are lost when it
// stops.
type embedded struct {
	server   *miniredis.Miniredis
	password config.Secret // mostly generated at the start, so that no other program on this machine can write
	file     string        // holds the URL; empty if there is none
	end      context.CancelFunc
	clock    sync.WaitGroup
}

// startEmbedded listens on addr, or on a free loopback port. An empty password means a random one. The clock of miniredis stands still unless it is advanced: drive advances
// it, so that keys expire.
func startEmbedded(addr string, password config.Secret) (*embedded, error) {
	server := miniredis.NewMiniRedis()
	if password == "" {
		password = config.Secret(rand.Text())
	}
	server.RequireAuth(password.Reveal())
	if err := server.StartAddr(cmp.Or(addr, "127.0.0.1:0")); err != nil {
		return nil, fmt.Errorf("start the embedded Redis: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	e := &embedded{server: server, password: password, end: end}
	e.clock.Go(func() { e.drive(ctx) })
	return e, nil
}

func (e *embedded) target() config.RedisTarget {
	return config.RedisTarget{Mode: config.RedisSingle, Addrs: []string{e.server.Addr()}, Password: e.password}
}

// url includes the password. It names the user, because redis-cli would otherwise send an empty name, which is refused.
func (e *embedded) url() string {
	return "redis://default:" + e.password.Reveal() + "@" + e.server.Addr()
}

// embeddedURLFile is the file in --data-dir that holds the URL while the node runs.
const embeddedURLFile = "embedded-redis-url"

// writeURL writes the URL to a file that only this process' user can read. This process must own the data directory by now.
func (e *embedded) writeURL(dir string) error {
	file := filepath.Join(dir, embeddedURLFile)
	// A file of an earlier process may exist, with any mode.
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--data-dir: replace the URL of the embedded Redis: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(e.url() + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("--data-dir: write the URL of the embedded Redis: %w", err)
	}
	e.file = file
	return nil
}

func (e *embedded) drive(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.server.FastForward(time.Since(last))
			last = time.Now()
		}
	}
}

func (e *embedded) stop() {
	if e.file != "" {
		_ = os.Remove(e.file) // its password is of no use any more
	}
	e.end()
	e.clock.Wait()
	e.server.Close()
}
