package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// TestSIGTERM sends a stream of webhooks while rollcall gets a SIGTERM. Everything that it answered with 200 is in Redis, no
// webhook gets an answer after which LiveKit would not retry, and rollcall reports that it drains while it still serves.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{flags: []string{"--drain-delay=3s"}})
	const senders = 8
	accepted := make([][]string, senders) // identities by sender; each sender has its own room
	failures := make(chan error, senders)
	var sending sync.WaitGroup
	first := make(chan struct{}, senders)
	for i := range senders {
		sending.Go(func() {
			defer func() {
				select {
				case first <- struct{}{}: // a failed one counts as begun too
				default:
				}
			}()
			for n := 0; ; n++ {
				id := fmt.Sprintf("p%04d", n)
				body := joined(t, fmt.Sprintf("burst-%d", i), id)
				a, err := w.tryHook(body, sign(t, body, livekittest.Key, livekittest.Secret, time.Now().Add(time.Minute)))
				switch {
				case err != nil:
					return // refused: LiveKit sends it to the next rollcall
				case a.status == http.StatusOK:
					accepted[i] = append(accepted[i], id)
				case a.status != http.StatusServiceUnavailable:
					failures <- fmt.Errorf("a webhook while draining: %d %s", a.status, a.body)
					return
				}
				if n == 5 {
					first <- struct{}{}
				}
			}
		})
	}
	for range senders {
		<-first
	}
	begun := time.Now()
	w.Signal(syscall.SIGTERM)
	eventually.Nil(t, 3*time.Second, "/readyz says that it drains", func() error {
		return errors.Join(w.Probe("/readyz", http.StatusServiceUnavailable), w.Probe("/livez", http.StatusOK))
	})
	w.AwaitEnd(begun)
	sending.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	total := 0
	for i, ids := range accepted {
		total += len(ids)
		if err := w.hasPresent(fmt.Sprintf("burst-%d", i), ids...); err != nil && !w.hasMore(i, ids) {
			t.Errorf("sender %d was told of %d commits: %v", i, len(ids), err)
		}
	}
	t.Logf("%d webhooks accepted", total)
}

// hasMore allows for one commit whose answer did not reach its sender.
func (w *world) hasMore(i int, ids []string) bool {
	return w.hasPresent(fmt.Sprintf("burst-%d", i), append(ids, fmt.Sprintf("p%04d", len(ids)))...) == nil
}
