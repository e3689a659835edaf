package clusterkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// AwaitSync waits for a sync that began after mark and is done, and gives its report.
func (c *Cluster) AwaitSync(mark time.Time) client.Report {
	c.t.Helper()
	var last client.Report
	c.Await("a completed sync", func() error {
		for _, n := range c.Awake() {
			s, err := c.Client(n).Status(c.ctx())
			if err == nil && s.LastSync != nil && s.LastSync.StartedAt.After(mark) {
				last = *s.LastSync
				return nil
			}
		}
		return errors.New("no node knows of one")
	})
	return last
}

// AwaitSyncStart waits for a sync that began after mark, whatever becomes of it, and gives the time of its start.
func (c *Cluster) AwaitSyncStart(mark time.Time) time.Time {
	c.t.Helper()
	var start time.Time
	c.Await("a sync has begun", func() error {
		for _, n := range c.Awake() {
			for _, at := range syncs(n) {
				if at.After(mark) {
					start = at
					return nil
				}
			}
		}
		return errors.New("no node knows of one")
	})
	return start
}

// syncs are the starts of the running and of the last sync, as a node tells of them.
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

// Sync has a node do a sync, which must come without errors.
func (c *Cluster) Sync(n *nodetest.Node) client.SyncAnswer {
	c.t.Helper()
	answer, err := c.Client(n).Sync(c.ctx(), client.ActionOptions{})
	if err != nil || answer.Result.Errors > 0 {
		c.t.Errorf("a sync by way of %s: %+v: %v", n.ID, answer, err)
	}
	return answer
}

// Whole holds that a report is of a sync that began at began or later and left nothing to the next.
func Whole(r *client.Report, began time.Time) error {
	switch {
	case r == nil || r.StartedAt.Before(began):
		return fmt.Errorf("no report of a sync since %v", began)
	case r.Deferred > 0:
		return fmt.Errorf("%d differences are left to the next sync", r.Deferred)
	}
	return nil
}

// Settle syncs until a sync leaves nothing to the next: for --livekit-lag one does not contradict what a webhook told.
func (c *Cluster) Settle() {
	c.t.Helper()
	c.Await("a sync that defers nothing", func() error {
		node, began := c.Awake()[0], time.Now().Truncate(time.Millisecond)
		c.Sync(node)
		s, err := c.Client(node).Status(c.ctx())
		if err != nil {
			return err
		}
		return Whole(s.LastSync, began)
	})
}
