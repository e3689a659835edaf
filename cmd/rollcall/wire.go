package main

import (
	"context"
	"fmt"
	"io"
)

// wired gives the commands the real node.
func wired() deps { return deps{Serve: serve, Dev: dev} }

// serve runs a node until ctx ends, and drains it.
func serve(ctx context.Context, c Config, _, stderr io.Writer) error {
	log := newLogger(c, stderr)
	limitMemory(log)
	n, err := startDaemon(ctx, c, log)
	if err != nil {
		return err
	}
	v := buildVersion()
	log.Info("rollcall is serving", "version", v.Version, "http", n.listener.Addr().String(), "livekit", c.LiveKit.Host,
		"redis", c.Redis.String())
	select {
	case <-ctx.Done():
	case err = <-n.failed:
		log.Error("the node cannot go on", "error", err)
	}
	if stopped := n.stop(); stopped != nil {
		return fmt.Errorf("stopped, but not cleanly: %w: what was answered is in Redis, and the next start goes on from there", stopped)
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}
