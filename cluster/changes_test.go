package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// TestStatusChanged waits for what the state and raft tell of: nobody needs to poll for them.
func TestStatusChanged(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.NodeAddr = ""
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(context.Background())
	await := func(what string, ok func(Status) bool) {
		t.Helper()
		for end := time.After(20 * time.Second); ; {
			changed := n.StatusChanged()
			if ok(n.Status()) {
				return
			}
			select {
			case <-changed:
			case <-end:
				t.Fatalf("no change told of %s", what)
			}
		}
	}
	await("the leader", func(s Status) bool { return s.Leader != "" && s.Epoch != 0 })
	if err := n.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = n.Apply(context.Background(), fsm.SetService{Running: false}) }()
	await("the service switch", func(s Status) bool { return !s.ServiceRunning })
}
