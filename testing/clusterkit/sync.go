package clusterkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// shown returns a time as a node's answer shows it: in whole milliseconds.
func shown(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// AwaitSync waits for a completed sync that began at mark or later, and returns its report.
func (c *Cluster) AwaitSync(mark time.Time) client.Report {
	c.t.Helper()
	mark = shown(mark)
	var last client.Report
	c.Await("a completed sync", func() error {
		for _, n := range c.Awake() {
			s, err := c.Client(n).Status(c.ctx())
			if err == nil && s.LastSync != nil && !s.LastSync.StartedAt.Before(mark) {
				last = *s.LastSync
				return nil
			}
		}
		return errors.New("no node knows of one")
	})
	return last
}

// AwaitSyncStart waits for a sync that began at mark or later, whatever its result, and returns when it began.
func (c *Cluster) AwaitSyncStart(mark time.Time) time.Time {
	c.t.Helper()
	mark = shown(mark)
	var start time.Time
	c.Await("a sync has begun", func() error {
		for _, n := range c.Awake() {
			for _, at := range syncs(n) {
				if !at.Before(mark) {
					start = at
					return nil
				}
			}
		}
		return errors.New("no node knows of one")
	})
	return start
}

// syncs returns when the running and the last sync began, according to a node.
func syncs(n *nodetest.Node) []time.Time {
	resp, err := httpClient().Get(n.URL() + "/api/sync-rooms")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var s struct {
		Progress struct {
			Kind      string
			StartedAt time.Time
		}
		LastSync struct{ StartedAt time.Time }
	}
	if json.NewDecoder(resp.Body).Decode(&s) != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	if s.Progress.Kind != "sync" {
		return []time.Time{s.LastSync.StartedAt}
	}
	return []time.Time{s.Progress.StartedAt, s.LastSync.StartedAt}
}

// Sync makes a node run a sync, which must end without errors.
func (c *Cluster) Sync(n *nodetest.Node) client.SyncAnswer {
	c.t.Helper()
	answer, err := c.Client(n).Sync(c.ctx(), client.ActionOptions{})
	if err != nil || answer.Result.Errors > 0 {
		c.t.Errorf("a sync by way of %s: %+v: %v", n.ID, answer, err)
	}
	return answer
}

// Whole returns nil if the last sync began at began or later and deferred nothing to the next. It waits a moment for the report,
// because nodes other than the leader learn of it later.
func Whole(ctx context.Context, c *client.Client, began time.Time) error {
	began = shown(began)
	for tries := 0; ; tries++ {
		s, err := c.Status(ctx)
		switch {
		case err != nil:
			return err
		case s.LastSync != nil && !s.LastSync.StartedAt.Before(began):
			if n := s.LastSync.Deferred; n > 0 {
				return fmt.Errorf("%d differences are left to the next sync", n)
			}
			return nil
		case tries == 20:
			return fmt.Errorf("no report of a sync since %v", began)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Settle runs syncs until one defers nothing to the next: for the time of --livekit-lag a sync does not contradict a webhook.
func (c *Cluster) Settle() {
	c.t.Helper()
	c.Await("a sync that defers nothing", func() error {
		node, began := c.Awake()[0], time.Now()
		c.Sync(node)
		return Whole(c.ctx(), c.Client(node), began)
	})
}
