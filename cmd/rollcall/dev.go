package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
)

// dev runs a node with all it needs around it, until ctx ends.
func dev(ctx context.Context, c Config, o DevOptions, stdout, stderr io.Writer) error {
	if c.LogLevel == slog.LevelInfo {
		c.LogLevel = slog.LevelWarn // the roster is what dev is about
	}
	log := newLogger(c, stderr)
	c.NodeID, c.DataDir = "dev", "" // raft in memory: dev leaves nothing behind
	addr, err := devAddr(c.HTTPAddr)
	if err != nil {
		return err
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
	n.introduce(stdout, o)
	guests := &people{url: c.LiveKit.Host, key: c.LiveKit.APIKey, secret: c.LiveKit.APISecret.Reveal(), log: log}
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
	guests.start(ctx, o.Participants)
	watch := &roster{redis: n.store, out: stdout}
	watch.show(ctx)
	fmt.Fprintln(stdout, "\nending: the participants leave, then rollcall, then the rest")
	guests.wait()
	n.config.DrainDelay = 0
	return n.stop()
}

func (n *daemon) introduce(out io.Writer, o DevOptions) {
	redis := n.config.Redis.String()
	if n.embedded != nil {
		redis = fmt.Sprintf("embedded, in memory   look with: redis-cli -p %s", n.embedded.server.Port())
	}
	fmt.Fprintf(out, "Redis           %s\n", redis)
	fmt.Fprintf(out, "rollcall        http://%s\n", n.listener.Addr())
	fmt.Fprintf(out, "                curl http://%s/api/rooms\n", n.listener.Addr())
	fmt.Fprintf(out, "                rollcall status --addr http://%s\n", n.listener.Addr())
	fmt.Fprintf(out, "participants    %d, who come and go in %v\n\n", o.Participants, devRooms)
	fmt.Fprintf(out, "What follows is rooms:participants:* in Redis as it changes. Ctrl-C ends everything.\n\n")
}

// devAddr is the loopback address that dev serves on: the configured port, or a free one when that is taken.
func devAddr(configured string) (string, error) {
	host, port, err := net.SplitHostPort(configured)
	if err != nil {
		return "", fmt.Errorf("--http-addr: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	for _, try := range []string{port, "0"} {
		l, listenErr := net.Listen("tcp", net.JoinHostPort(host, try))
		if err = listenErr; err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("--http-addr: %w", err)
}
