package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/confirm"
	"github.com/rollcallhq/rollcall/internal/daemon"
	"github.com/rollcallhq/rollcall/internal/httpapi"
)

// wired returns the deps of the real program.
func wired() deps { return deps{Serve: serve, Dev: dev, Terminal: confirm.Terminal()} }

// serve runs a node until ctx ends, and then drains it.
func serve(ctx context.Context, c config.Config, _, stderr io.Writer) error {
	log := newLogger(c, stderr)
	daemon.LimitMemory(ctx, log)
	d, err := daemon.Start(ctx, c, apiBuild(), log)
	if err != nil {
		return err
	}
	log.Info("rollcall is serving", "version", buildVersion().Version, "http", d.Addr().String(), "livekit", c.LiveKit.Host,
		"redis", c.Redis.String())
	select {
	case <-ctx.Done():
	case err = <-d.Failed():
		log.Error("the node cannot continue", "error", err)
	}
	if stopped := d.Stop(); stopped != nil {
		return fmt.Errorf("stopped, but not cleanly: %w: what was answered is in Redis, and the next start continues from there", stopped)
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// apiBuild returns the build as the API shows it.
func apiBuild() httpapi.Build {
	v := buildVersion()
	return httpapi.Build{Version: v.Version, Commit: v.Commit, Go: v.Go}
}

// newLogger returns a logger that writes to w in the configured format.
func newLogger(c config.Config, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		o.ReplaceAttr = durationText
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// durationText has JSON hold a duration as text with its unit, such as "1.5s", where slog would write bare nanoseconds.
func durationText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
