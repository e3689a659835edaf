package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

func newStore(t *testing.T) *Store {
	o := &redis.UniversalOptions{Addrs: []string{redistest.Start(t).Addr}}
	Harden(o)
	s, err := Open(Options{Client: redis.NewUniversalClient(o), Feed: true, Timeline: true, Node: "n1", Kinds: reconcile.Kinds{"STANDARD": true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestACommitThatFailsSpoilsNoOther sends commits of many rooms in one batch, of which two are refused and the script of one fails.
func TestACommitThatFailsSpoilsNoOther(t *testing.T) {
	s := newStore(t)
	const rooms = 2*commitsAtOnce + 5
	claim := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	var batch []*request
	for i := range rooms {
		room := fmt.Sprint("room-", i)
		if _, err := s.Claim(t.Context(), room, claim); err != nil {
			t.Fatal(err)
		}
		c := reconcile.Commit{Room: room, Claim: claim, Version: 1, Public: reconcile.Write, Instance: reconcile.Instance{SID: "RM_1"}, Cause: reconcile.ByWebhook,
			State: &reconcile.State{SID: "RM_1", Version: 1}, Changes: []reconcile.Change{{Type: reconcile.RoomStarted, SID: "RM_1"}}}
		switch i {
		case 1:
			c.Claim.Epoch = 0
		case 3:
			c.Expect = 7
		}
		r, err := s.commitRequest(c)
		if err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			r.args = r.args[:20]
		}
		r.done = make(chan answer, 1)
		r.bytes = r.size()
		batch = append(batch, r)
	}
	if runs := s.runs(batch); len(runs) != 3 || len(runs[0].requests) != commitsAtOnce {
		t.Errorf("%d runs, the first of %d commits", len(runs), len(runs[0].requests))
	}
	if err := s.send(batch); err != nil {
		t.Fatal(err)
	}
	for i, r := range batch {
		a := <-r.done
		state := s.client.Get(t.Context(), "rooms:states:"+r.room).Val()
		failed := map[int]bool{1: errors.Is(a.err, reconcile.StaleOwner), 3: errors.Is(a.err, reconcile.Conflict), 5: a.err != nil && strings.Contains(a.err.Error(), "arguments")}
		if said, fails := failed[i]; fails && (!said || state != "") || !fails && (a.err != nil || len(a.reply) != 3 || state == "") {
			t.Errorf("%s: %v, %v, state %q", r.room, a.reply, a.err, state)
		}
	}
	if n := s.client.XLen(t.Context(), "rooms:events").Val(); n != rooms-3 {
		t.Errorf("%d entries in the feed, want %d", n, rooms-3)
	}
}

// TestStagedStatesOfOneRoom checks that a commit takes its own state when another one of its room, by a former owner or sent late, is stored at the
// same time, and that the one that is refused leaves nothing.
func TestStagedStatesOfOneRoom(t *testing.T) {
	s := newStore(t)
	s.stageFrom = 0
	claim := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	if _, err := s.Claim(t.Context(), "a", claim); err != nil {
		t.Fatal(err)
	}
	var all []*request
	for _, sid := range []string{"RM_first", "RM_second"} {
		r, err := s.commitRequest(reconcile.Commit{Room: "a", Claim: claim, Version: 1, Public: reconcile.Write, Instance: reconcile.Instance{SID: sid},
			State: &reconcile.State{SID: sid, Version: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r.done = make(chan answer, 1)
		all = append(all, r)
	}
	if err := s.send(all); err != nil { // both states are stored before the script runs, which takes one commit after the other
		t.Fatal(err)
	}
	first, second := <-all[0].done, <-all[1].done
	if first.err != nil || !errors.Is(second.err, reconcile.Conflict) {
		t.Errorf("%v, %v", first.err, second.err)
	}
	if got := s.client.Get(t.Context(), "rooms:states:a").Val(); !strings.Contains(got, "RM_first") {
		t.Errorf("the keys have %s", got)
	}
	if left := s.client.Keys(t.Context(), "rooms:staged:*").Val(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// TestWhyAStagedStateIsMissing checks what a commit's caller learns if its state was not stored, or is gone, and that a refusal stays one.
func TestWhyAStagedStateIsMissing(t *testing.T) {
	s := newStore(t)
	s.stageFrom = 0
	claim, former := reconcile.Claim{Generation: 1, Epoch: 2, Incarnation: 1}, reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	if _, err := s.Claim(t.Context(), "a", claim); err != nil {
		t.Fatal(err)
	}
	send := func(claim reconcile.Claim, change func(*request)) error {
		r, err := s.commitRequest(reconcile.Commit{Room: "a", Claim: claim, Version: 1, Public: reconcile.Write, Instance: reconcile.Instance{SID: "RM_1"},
			State: &reconcile.State{SID: "RM_1", Version: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r.done = make(chan answer, 1)
		change(r)
		if err := s.send([]*request{r}); err != nil {
			t.Fatal(err)
		}
		return (<-r.done).err
	}
	gone := func(r *request) { r.keys[commitKeys] = "rooms:staged:gone" }
	if err := send(claim, gone); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("a state that is gone: %v", err)
	}
	full := func(memory string) {
		if err := s.client.ConfigSet(t.Context(), "maxmemory", memory).Err(); err != nil {
			t.Fatal(err)
		}
	}
	full("1")
	if err := send(claim, func(*request) {}); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Errorf("without memory: %v", err)
	}
	if err := send(former, func(*request) {}); !errors.Is(err, reconcile.StaleOwner) {
		t.Errorf("a former owner, without memory: %v", err)
	}
	full("0")
	if n := s.client.Exists(t.Context(), "rooms:states:a").Val(); n != 0 {
		t.Error("something was written")
	}
}

// TestALateCommitKeepsItsContent: a commit whose caller has left may be sent later, and then writes what it was given. The commits made meanwhile
// do not use its memory.
func TestALateCommitKeepsItsContent(t *testing.T) {
	s := newStore(t)
	claim := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	commit := func(room string) reconcile.Commit {
		if _, err := s.Claim(t.Context(), room, claim); err != nil {
			t.Fatal(err)
		}
		return reconcile.Commit{Room: room, Claim: claim, Version: 1, Public: reconcile.Write, Instance: reconcile.Instance{SID: "RM_" + room}, Cause: reconcile.ByWebhook,
			State: &reconcile.State{SID: "RM_" + room, Version: 1}, Changes: []reconcile.Change{{Type: reconcile.RoomStarted, SID: "RM_" + room}}}
	}
	late := commit("late")
	others := []reconcile.Commit{}
	for i := range secondFrom - 1 { // with more, a second batch would leave
		others = append(others, commit(fmt.Sprint("other-", i)))
	}
	begun, gate, send := make(chan struct{}, 1+len(others)), make(chan struct{}), s.batches.send
	s.batches.send = func(batch []*request) error {
		begun <- struct{}{}
		<-gate
		return send(batch)
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-begun
		leave()
	}()
	if _, err := s.Commit(ctx, late); !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller got %v", err)
	}
	var done sync.WaitGroup
	for _, c := range others {
		done.Go(func() {
			if _, err := s.Commit(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting := 0; waiting < len(others); { // behind the late one
		s.batches.mu.Lock()
		waiting = len(s.batches.lanes[""].queue)
		s.batches.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	close(gate)
	done.Wait()
	for _, c := range append(others, late) {
		if got, want := s.client.Get(t.Context(), "rooms:states:"+c.Room).Val(), string(c.State.JSON(c.Room)); got != want {
			t.Errorf("%s holds %q, want %q", c.Room, got, want)
		}
	}
}
