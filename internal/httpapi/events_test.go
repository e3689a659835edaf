package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// listener reads a stream of events as text blocks.
type listener struct {
	t      *testing.T
	cancel context.CancelFunc
	resp   *http.Response
	blocks chan string
}

// listen opens a stream; head lists header names and values alternately.
func listen(t *testing.T, client *http.Client, query string, head ...string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://localhost/api/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, cancel: cancel, resp: resp, blocks: make(chan string, 64)}
	go l.read(ctx)
	return l
}

func (l *listener) read(ctx context.Context) {
	defer close(l.blocks)
	defer l.resp.Body.Close()
	var block strings.Builder
	for lines := bufio.NewReader(l.resp.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if line != "\n" {
			block.WriteString(line)
			continue
		}
		select {
		case l.blocks <- block.String():
		case <-ctx.Done():
			return
		}
		block.Reset()
	}
}

// next returns the next block, or "" at the end.
func (l *listener) next() string { return <-l.blocks }

// wants reads blocks and compares them with these.
func (l *listener) wants(blocks ...string) {
	l.t.Helper()
	for _, want := range blocks {
		if got := l.next(); got != want {
			l.t.Errorf("the stream gives\n%q, want\n%q", got, want)
		}
	}
}

const (
	began    = "id: 0-0\n"
	resumed  = ": rollcall\n"
	noLeader = "event: leader\ndata: {\"leader\":\"\",\"term\":0,\"epoch\":0}\n"
	nobody   = "event: members\ndata: {\"epoch\":0,\"members\":[]}\n"
	stopped  = "event: service\ndata: {\"running\":false}\n"
)

func change(id string, room string, version int, data string) string {
	return fmt.Sprintf("id: %s\nevent: change\ndata: {\"room\":%q,\"type\":\"participant_joined\",\"identity\":\"ada\",\"sid\":\"PA_x\","+
		"\"cause\":\"webhook\",\"version\":%d,\"time\":1795399866530,\"data\":%s}\n", id, room, version, data)
}

// streaming runs a test against a server on pipes, in virtual time.
func streaming(t *testing.T, limits Limits, test func(t *testing.T, r *rig, client *http.Client)) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{grants: map[string]reconcile.Grant{"moderator": {RoomAdmin: true, Room: "mine"}, "reader": {RoomList: true}}}
		r := newRig(t, n, func(c *Config) { c.Limits = limits })
		client, stop := r.serve(t)
		test(t, r, client)
		stop()
		client.CloseIdleConnections()
		synctest.Wait()
		if left := n.wire.following(); left != 0 {
			t.Errorf("%d still follow", left)
		}
		if taken := r.api.watching.held(); taken != 0 {
			t.Errorf("%d slots are still taken", taken)
		}
	})
}

func TestEvents(t *testing.T) {
	streaming(t, Limits{}, func(t *testing.T, r *rig, client *http.Client) {
		wire := &r.node.wire
		wire.emit("before", "1")
		wire.now = 7
		all, mine := listen(t, client, ""), listen(t, client, "?room=mine", "Authorization", "Bearer moderator")
		if got := all.resp.Header.Get("Content-Type"); all.resp.StatusCode != 200 || got != "text/event-stream" {
			t.Fatalf("%d, %s", all.resp.StatusCode, got)
		}
		all.wants("id: 1000-1\n", noLeader, nobody, stopped)
		mine.wants("id: 7-9223372036854775808\n") // Redis' time, and nothing about another room
		wire.emit("mine", "{\"a\":\n \"<b>\"}")
		all.wants(change("1000-2", "mine", 2, `{"a":"<b>"}`))
		mine.wants(change("1000-9223372036854775809", "mine", 2, `{"a":"<b>"}`))
		wire.emit("other", "null")
		all.wants(change("1001-0", "other", 3, "null"))
		wire.set(func(s *ClusterStatus) {
			s.Leader, s.Term, s.Epoch, s.Members, s.Running = "n1", 3, 12, []string{"n1", "n2"}, true
		})
		all.wants("event: leader\ndata: {\"leader\":\"n1\",\"term\":3,\"epoch\":12}\n",
			"event: members\ndata: {\"epoch\":12,\"members\":[\"n1\",\"n2\"]}\n", "event: service\ndata: {\"running\":true}\n")
		wire.set(func(s *ClusterStatus) {
			s.LastSync = &reconcile.Report{StartedAt: time.UnixMilli(1795399866530), Synced: 2}
		})
		all.wants("event: sync\ndata: {\"startedAt\":\"2026-11-23T02:11:06.530Z\",\"durationMs\":0,\"scheduled\":false," +
			"\"result\":{\"synced\":2,\"errors\":0,\"cleaned\":0},\"changed\":0,\"drift\":{},\"deferred\":0,\"held\":{\"rooms\":0,\"participants\":0,\"cycles\":0}}\n")
		wire.quietly(func(s *ClusterStatus) { s.Redis = Silent }) // nothing reports that Redis hangs
		all.wants("event: redis\ndata: {\"state\":\"silent\"}\n")
		time.Sleep(15 * time.Second)
		all.wants(":\n")
		mine.wants(":\n") // nothing about changes of other rooms
		all.cancel()
		mine.cancel()
	})
}

// versions reads n changes and returns their versions.
func (l *listener) versions(n int) []string {
	l.t.Helper()
	var got []string
	for len(got) < n {
		block := l.next()
		if block == "" {
			l.t.Fatalf("the stream ends after %q", got)
		}
		if _, rest, ok := strings.Cut(block, `"version":`); ok {
			version, _, _ := strings.Cut(rest, ",")
			got = append(got, version)
		}
	}
	return got
}

func numbers(from, to int) []string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// TestEventsResume checks that after Last-Event-ID every change comes once, in order, including those made meanwhile and
// those on several pages.
func TestEventsResume(t *testing.T) {
	streaming(t, Limits{}, func(t *testing.T, r *rig, client *http.Client) {
		wire := &r.node.wire
		const missed = 2*replayPage + 100
		for range missed {
			wire.emit("a", "1")
		}
		for _, head := range [][]string{{"Last-Event-ID", "1000-1"}, {"Last-Event-ID", "1000-1", "Authorization", "Bearer reader"}} {
			l := listen(t, client, "", head...)
			for range 20 {
				wire.emit("a", "1") // while it is replayed
			}
			want := numbers(2, len(wire.changes))
			if got := l.versions(len(want)); !slices.Equal(got, want) {
				t.Errorf("%d changes come, the last %q, want %d", len(got), got[len(got)-5:], len(want))
			}
			wire.emit("a", "1")
			if got := l.versions(1); got[0] != fmt.Sprint(len(wire.changes)) {
				t.Errorf("then comes %q", got)
			}
			l.cancel()
		}
		for range replayEntries {
			wire.emit("b", "1")
		}
		l := listen(t, client, "?room=a", "Last-Event-ID", "1000-1")
		l.versions(missed)
		for block := l.next(); block != ": too far behind: changes are left out, read the rooms again\n"; block = l.next() {
			if block == "" {
				t.Fatal("nothing says that changes are left out")
			}
		}
		l.cancel()
		l = listen(t, client, "", "Last-Event-ID", "nonsense")
		l.wants(resumed, noLeader, nobody, stopped)
		wire.emit("c", "1")
		if got := l.versions(1); got[0] != fmt.Sprint(len(wire.changes)) {
			t.Errorf("after an id that is none comes %q", got)
		}
		l.cancel()
	})
}

// TestEventsAfterAFailure checks that changes made while the feed cannot be followed arrive late, but arrive.
func TestEventsAfterAFailure(t *testing.T) {
	streaming(t, Limits{}, func(t *testing.T, r *rig, client *http.Client) {
		wire := &r.node.wire
		l := listen(t, client, "")
		l.wants(began, noLeader, nobody, stopped)
		wire.emit("a", "1")
		l.versions(1)
		wire.tear(errSecret)
		synctest.Wait()
		wire.emit("a", "1")
		wire.emit("a", "1")
		if got := l.versions(2); !slices.Equal(got, numbers(2, 3)) {
			t.Errorf("after a failure come %q", got)
		}
		l.cancel()
	})
}

// TestSlowWatchers checks that a watcher that does not read is cut off and does not delay the others.
func TestSlowWatchers(t *testing.T) {
	streaming(t, Limits{}, func(t *testing.T, r *rig, client *http.Client) {
		wire := &r.node.wire
		slow, quick := listen(t, client, ""), listen(t, client, "")
		slow.wants(began)
		quick.wants(began, noLeader, nobody, stopped)
		for range 3 * watcherFrames {
			wire.emit("a", `"`+strings.Repeat("x", 1000)+`"`)
			quick.versions(1)
		}
		if got := r.api.watching.held(); got != 2 {
			t.Errorf("%d slots are taken, because the write to the slow watcher has not failed yet", got)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if got := r.api.watching.held(); got != 1 {
			t.Errorf("%d slots are taken, one by a watcher that is not served", got)
		}
		slow.cancel()
		quick.cancel()
	})
}

// TestCutOffIsTold checks that a watcher that was cut off and continues to read is told to connect again.
func TestCutOffIsTold(t *testing.T) {
	streaming(t, Limits{Heartbeat: time.Hour}, func(t *testing.T, r *rig, client *http.Client) {
		l := listen(t, client, "")
		l.wants(began)
		for range 3 * watcherFrames {
			r.node.wire.emit("a", `"`+strings.Repeat("x", 1000)+`"`)
			synctest.Wait()
		}
		last := ""
		for block := l.next(); block != ""; block = l.next() {
			last = block
		}
		if last != ": too slow: connect again\n" {
			t.Errorf("the last that it hears is %q", last)
		}
	})
}

func TestEventsAreBounded(t *testing.T) {
	streaming(t, Limits{Watchers: 2, Watch: time.Minute}, func(t *testing.T, r *rig, client *http.Client) {
		one, two := listen(t, client, ""), listen(t, client, "")
		resp, err := client.Get("http://localhost/api/events")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "4" ||
			!strings.Contains(string(body), "2 streams of events are open on this node, which serves at most 2 to such callers: let one stream serve several viewers") {
			t.Errorf("one too many: %d %s", resp.StatusCode, body)
		}
		one.cancel()
		synctest.Wait()
		three := listen(t, client, "")
		three.wants(began)
		for _, l := range []*listener{two, three} {
			for block := l.next(); block != ": connect again\n"; block = l.next() {
				if block == "" {
					t.Fatal("it ends without a comment")
				}
			}
			l.wants("")
		}
	})
}

// TestEventsEndWithTheNode checks that a shutdown waits for no stream.
func TestEventsEndWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &node{}, nil)
		client, stop := r.serve(t)
		l := listen(t, client, "")
		l.wants(began, noLeader, nobody, stopped)
		start := time.Now()
		said := make(chan string)
		go func() { said <- l.next() + l.next() }()
		stop()
		if got := <-said; got != ": this node stops: connect to another\n" {
			t.Errorf("it hears %q", got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the shutdown took %v", took)
		}
		if w := r.ask("GET", "/api/events", ""); w.Code != 503 {
			t.Errorf("a stream after that: %d", w.Code)
		}
		client.CloseIdleConnections()
	})
}

func TestEventsCannotBegin(t *testing.T) {
	n := &node{}
	r := newRig(t, n, nil)
	n.wire.fail = errors.Join(ErrUnavailable, errSecret)
	want(t, r.ask("GET", "/api/events", ""), 503, `{"error":"The changes cannot be followed now; try again shortly"}`)
	want(t, r.ask("GET", "/api/events?room=", ""), 400, `{"error":"room must not be empty"}`)
	if w := r.ask("HEAD", "/api/events", ""); w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d", w.Code)
	}
	if taken := r.api.watching.held(); taken != 0 {
		t.Errorf("%d slots are taken", taken)
	}
}
