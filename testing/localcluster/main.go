// Command localcluster is what `make cluster` runs: three rollcall nodes on this machine with a real Redis and a real LiveKit,
// and participants who come and go. It starts a node again that was killed. When it ends, it ends everything that it started and
// leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rollcallhq/rollcall/internal/demo"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

// options are the options of the command line.
type options struct {
	rollcall     string
	participants int
	again        time.Duration
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("localcluster", flag.ContinueOnError)
	flags.StringVar(&o.rollcall, "rollcall", "bin/rollcall", "`path` of the binary")
	flags.IntVar(&o.participants, "participants", 6, "how many come and go")
	flags.DurationVar(&o.again, "again", 10*time.Second, "how long after its end a node is started again")
	return o, flags.Parse(args)
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	out := &lines{out: stdout}
	dir, err := os.MkdirTemp("", "rollcall-cluster-")
	if err != nil {
		return fmt.Errorf("make a directory for the cluster: %w", err)
	}
	defer os.RemoveAll(dir)
	redis, err := startRedis(ctx, dir)
	if err != nil {
		return err
	}
	defer redis.stop()
	addrs, err := freeaddr.Find(2 * nodes)
	if err != nil {
		return err
	}
	c := &cluster{options: o, dir: dir, out: out}
	c.plan(addrs, redis.addr)
	livekit, err := livekittest.Start(ctx, livekittest.Options{URLs: c.hooks(), EmptyTimeout: 20, DepartureTimeout: 5, OwnGroup: true})
	if err != nil {
		return err
	}
	defer livekit.Close()
	c.livekit = livekit.URL()
	defer c.stop()
	if err := c.start(ctx); err != nil {
		return err
	}
	introduce(out, c, redis)
	return accompany(ctx, c, redis, out)
}

// accompany runs participants who come and go, and prints the changes, until ctx ends.
func accompany(ctx context.Context, c *cluster, redis *redisServer, out io.Writer) error {
	store, err := redisstore.Open(redisstore.Options{Client: redis.client})
	if err != nil {
		return fmt.Errorf("open Redis: %w", err)
	}
	guests := &demo.People{URL: c.livekit, Key: livekittest.Key, Secret: livekittest.Secret,
		Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	guests.Start(ctx, c.participants)
	watch := &demo.Roster{Redis: store, Out: out}
	watch.Show(ctx)
	fmt.Fprintln(out, "\nending: the participants leave, then the nodes, then the rest")
	guests.Wait()
	return nil
}
