package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/internal/demo"
)

// dev runs a node with all it needs around it, until ctx ends.
func dev(ctx context.Context, c Config, o DevOptions, stdout, stderr io.Writer) error {
	if c.LogLevel == slog.LevelInfo {
		c.LogLevel = slog.LevelWarn // the roster is what dev is about
	}
	log := newLogger(c, stderr)
	limitMemory(log)
	c.DrainDelay = 0
	c.NodeID, c.DataDir = "dev", "" // raft in memory: dev leaves nothing behind
	addr, err := devAddr(c)
	if err != nil {
		return err
	}
	if _, wanted, _ := net.SplitHostPort(c.HTTPAddr); wanted != "0" && !strings.HasSuffix(addr, ":"+wanted) {
		fmt.Fprintf(stdout, "port %s is in use: rollcall listens on %s instead (--http-addr chooses another)\n", wanted, addr)
	}
	c.HTTPAddr = addr
	hook := "http://" + addr + "/api/livekit-webhook"
	own := c.LiveKit.Host == ""
	if own {
		server, err := startDevLiveKit(ctx, o.LiveKitServer, hook)
		if err != nil {
			return err
		}
		defer server.stop()
		c.LiveKit.Host, c.LiveKit.APIKey, c.LiveKit.APISecret = server.url, server.key, Secret(server.secret)
		fmt.Fprintf(stdout, "livekit-server  %s   key %s   secret %s\n                log: %s\n", server.url, server.key, server.secret, server.log())
	} else {
		fmt.Fprintf(stdout, "LiveKit         %s   (yours: let its webhooks go to %s)\n", c.LiveKit.Host, hook)
	}
	n, err := startDaemon(ctx, c, log)
	if err != nil {
		return err
	}
	if own {
		if err := n.refuseOthersRooms(ctx); err != nil {
			return errors.Join(err, n.stop())
		}
	}
	n.introduce(stdout, o)
	guests := &demo.People{URL: c.LiveKit.Host, Key: c.LiveKit.APIKey, Secret: c.LiveKit.APISecret.Reveal(), Log: log}
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() {
		select {
		case err := <-n.failed:
			log.Error("the node cannot go on", "error", err)
			end()
		case <-ctx.Done():
		}
	}()
	guests.Start(ctx, o.Participants)
	watch := &demo.Roster{Redis: n.store, Out: stdout}
	watch.Show(ctx)
	fmt.Fprintln(stdout, "\nending: the participants leave, then rollcall, then the rest")
	guests.Wait()
	n.finishRooms(guests)
	return n.stop()
}

// refuseOthersRooms keeps dev, whose LiveKit is its own, from a Redis that holds the rooms of another: it would remove them.
func (n *daemon) refuseOthersRooms(ctx context.Context) error {
	if n.embedded != nil {
		return nil
	}
	names, _, err := n.store.Rooms(ctx, "", 1, "")
	if err != nil {
		return fmt.Errorf("--redis-url, REDIS_URL: %w", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("--redis-url, REDIS_URL: %s already holds rooms (%q): dev would remove them, since its own LiveKit does not have them. "+
			"Give an empty database, unset REDIS_URL, or set LIVEKIT_HOST to the LiveKit whose rooms they are", n.config.Redis, names[0])
	}
	return nil
}

// finishRooms lets dev's rooms end, so that nothing of them stays in a Redis that outlives dev.
func (n *daemon) finishRooms(guests *demo.People) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	guests.Finish(ctx)
	for {
		left, _, err := n.store.Rooms(ctx, "", 1, demo.Prefix)
		if err != nil || len(left) == 0 || !pause(ctx, 50*time.Millisecond) {
			return
		}
	}
}

func (n *daemon) introduce(out io.Writer, o DevOptions) {
	redis := n.config.Redis.String()
	if n.embedded != nil {
		redis = fmt.Sprintf("%s   embedded, in memory\n                look with: redis-cli -u %s", n.embedded.url(), n.embedded.url())
	}
	fmt.Fprintf(out, "Redis           %s\n", redis)
	fmt.Fprintf(out, "rollcall        http://%s\n", n.listener.Addr())
	fmt.Fprintf(out, "                curl http://%s/api/rooms\n", n.listener.Addr())
	fmt.Fprintf(out, "                %s status --addr http://%s\n", os.Args[0], n.listener.Addr())
	fmt.Fprintf(out, "participants    %d, who come and go in %s\n\n", o.Participants, strings.Join(demo.Rooms(), ", "))
	fmt.Fprintf(out, "What follows is rooms:participants:* in Redis as it changes. Ctrl-C ends everything.\n\n")
}

// devAddr is the loopback address that dev serves on: the configured port, or a free one when the default is taken and no
// LiveKit but dev's own has to know it.
func devAddr(c Config) (string, error) {
	host, port, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		return "", fmt.Errorf("--http-addr: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	tries := []string{port}
	if c.LiveKit.Host == "" && c.HTTPAddr == defaultHTTPAddr {
		tries = append(tries, "0")
	}
	for _, try := range tries {
		l, listenErr := net.Listen("tcp", net.JoinHostPort(host, try))
		if err = listenErr; err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", portTaken(err)
}
