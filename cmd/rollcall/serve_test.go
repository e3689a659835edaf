package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/daemon"
)

// TestRemovedNodeHasItsOwnExitCode checks the code after which systemd does not start a node again, also if the stop failed.
func TestRemovedNodeHasItsOwnExitCode(t *testing.T) {
	t.Parallel()
	if code := report(io.Discard, errors.Join(fmt.Errorf("ended: %w", daemon.ErrRemoved), errors.New("stopped, but not cleanly"))); code != 3 {
		t.Errorf("removed: %d", code)
	}
	if code := report(io.Discard, errors.New("stopped, but not cleanly")); code != exitFailed {
		t.Errorf("failed: %d", code)
	}
}

// TestDurationsInJSONLogs checks that a duration in a JSON log has its unit, also in a group.
func TestDurationsInJSONLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, _ := newLogger(config.Config{LogFormat: "json"}, &out)
	log.With("after", 90*time.Second).
		Info("m", "took", 1500*time.Millisecond, slog.Group("in", "delay", time.Microsecond), "n", 7)
	var got struct {
		Took, After string
		In          struct{ Delay string }
		N           int
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if got.Took != "1.5s" || got.After != "1m30s" || got.In.Delay != "1µs" || got.N != 7 {
		t.Errorf("got %+v from %s", got, out.String())
	}
}
