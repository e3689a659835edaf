package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/confirm"
	"github.com/rollcallhq/rollcall/internal/daemon"
	"github.com/rollcallhq/rollcall/internal/httpapi"
)

// wired returns the deps of the real program.
func wired() deps { return deps{Serve: serve, Dev: dev, Terminal: confirm.Terminal()} }

// serve runs a node until ctx ends, and then drains it. At SIGHUP it reads the configuration again.
func serve(ctx context.Context, c config.Config, read func() (config.Loaded, error), stderr io.Writer) error {
	hangup := make(chan os.Signal, 1) // also while the node starts and stops, or the signal would end it
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	log, level := newLogger(c, stderr)
	daemon.LimitMemory(ctx, log)
	d, err := daemon.Start(ctx, c, apiBuild(), log)
	if err != nil {
		return err
	}
	d.Reloadable(read, level)
	log.Info("rollcall is serving", "version", buildVersion().Version, "http", d.Addr().String(), "livekit", c.LiveKit.Host,
		"redis", c.Redis.String())
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-hangup:
			_, _, _ = d.Reload() // which logs how it went
		case err = <-d.Failed():
			log.Error("the node cannot continue", "error", err)
		}
	}
	if stopped := d.Stop(); stopped != nil {
		return errors.Join(err, fmt.Errorf("stopped, but not cleanly: %w: what was answered is in Redis, and the next start continues from there", stopped))
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

// newLogger returns a logger that writes to w in the configured format, and its level.
func newLogger(c config.Config, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(c.LogLevel)
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		o.ReplaceAttr = durationText
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}

// durationText has JSON hold a duration as text with its unit, such as "1.5s", where slog would write bare nanoseconds.
func durationText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
