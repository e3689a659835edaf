package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// redisServer is a separate redis-server, which stores nothing on disk.
type redisServer struct {
	addr   string
	client redis.UniversalClient
	proc   *proc.Process
}

// silent drops the Redis client's own messages: the nodes' logs say more.
type silent struct{}

// Printf implements the client's logger.
func (silent) Printf(context.Context, string, ...any) {}

func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("find redis-server (`make deps` installs it): %w", err)
	}
	addrs, err := freeaddr.Find(1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, fmt.Errorf("open Redis' log: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--maxmemory-policy", "noeviction")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p, err := proc.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	redis.SetLogger(silent{})
	r := &redisServer{addr: addrs[0], proc: p, client: client(addrs[0])}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := p.AwaitReady(ctx, func(ctx context.Context) error { return r.client.Ping(ctx).Err() }); err != nil {
		r.stop()
		return nil, fmt.Errorf("redis-server is not ready: %w", err)
	}
	return r, nil
}

// client returns a client as a Store needs it.
func client(addr string) redis.UniversalClient {
	options := &redis.UniversalOptions{Addrs: []string{addr}}
	redisstore.Harden(options)
	return redis.NewUniversalClient(options)
}

func (r *redisServer) stop() {
	_ = r.client.Close()
	r.proc.Signal(syscall.SIGTERM)
	if !r.proc.Ended(5 * time.Second) {
		r.proc.Kill()
	}
}
