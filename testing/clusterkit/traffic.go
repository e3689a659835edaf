package clusterkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

const (
	// crowd is the most participants in a room of the traffic.
	crowd = 4
	// pulse is how often the traffic catches up with its rate.
	pulse = 5 * time.Millisecond
)

// Traffic makes people come and go in the fake LiveKit at a steady rate.
type Traffic struct {
	livekit *fakelivekit.Fake
	rooms   []string
	dice    *rand.Rand
	people  map[string][]string // identities by room
	next    int                 // number of the next identity
	steps   int
	rate    float64 // webhooks per second
	end     context.CancelFunc
	ended   sync.WaitGroup
}

// RoomName returns the name of the traffic's ith room.
func RoomName(i int) string { return fmt.Sprintf("room-%04d", i) }

// StartTraffic fills that many rooms, waits until all their webhooks are answered, and then sends about rate webhooks a second
// until Stop.
func (c *Cluster) StartTraffic(rooms, rate int) *Traffic {
	c.t.Helper()
	t := NewTraffic(c.LiveKit, 1, rooms, rate)
	t.Fill()
	c.AwaitMail()
	ctx, cancel := context.WithCancel(context.Background())
	t.end = cancel
	before := t.livekit.Stats().Queued
	t.ended.Go(func() { t.keepRate(ctx, func() int { return t.livekit.Stats().Queued - before }) })
	c.t.Cleanup(t.Stop)
	return t
}

// Stop ends the traffic. Its webhooks may still be in flight.
func (t *Traffic) Stop() {
	t.end()
	t.ended.Wait()
}

// keepRate makes steps until ctx ends, so that what counted returns rises at the rate.
func (t *Traffic) keepRate(ctx context.Context, counted func() int) {
	begun := time.Now()
	for wait.For(ctx, pulse) == nil {
		for due := int(time.Since(begun).Seconds() * t.rate); counted() < due; {
			t.step()
		}
	}
}

// step makes one thing happen in one room.
func (t *Traffic) step() {
	t.steps++
	room := t.rooms[t.dice.IntN(len(t.rooms))]
	there := t.people[room]
	switch dice := t.dice.IntN(100); {
	case len(there) == 0, dice < 49 && len(there) < crowd:
		t.join(room)
	case dice < 98:
		i := t.dice.IntN(len(there))
		t.livekit.Leave(room, there[i])
		t.people[room] = slices.Delete(there, i, i+1)
	default:
		t.livekit.DeleteRoom(room)
		delete(t.people, room)
	}
}

// join adds a participant to a room, sometimes one who was there before.
func (t *Traffic) join(room string) {
	t.next++
	who := fmt.Sprintf("user-%d", t.next)
	if t.dice.IntN(4) == 0 {
		who = "regular"
	}
	t.livekit.Join(room, fakelivekit.Who{Identity: who})
	if !slices.Contains(t.people[room], who) {
		t.people[room] = append(t.people[room], who)
	}
}

// AwaitMail waits until the fake LiveKit has no webhooks queued or in flight. A retried one may take 30 s.
func (c *Cluster) AwaitMail() {
	c.t.Helper()
	eventually.Nil(c.t, 2*patience, "all webhooks have arrived", func() error {
		if n := c.LiveKit.Stats().Waiting; n > 0 {
			return fmt.Errorf("%d are still on their way", n)
		}
		return nil
	})
}

// Pass waits for a time while the traffic runs.
func (c *Cluster) Pass(d time.Duration) {
	_ = wait.For(context.Background(), d)
}
