package clusterkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
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
	rate    float64             // webhooks per second
	end     context.CancelFunc
	ended   sync.WaitGroup
}

// RoomName returns the name of the traffic's ith room.
func RoomName(i int) string { return fmt.Sprintf("room-%04d", i) }

// StartTraffic fills that many rooms, waits until all their webhooks are answered, and then sends about rate webhooks a second
// until Stop.
func (c *Cluster) StartTraffic(rooms, rate int) *Traffic {
	c.t.Helper()
	t := &Traffic{livekit: c.LiveKit, dice: rand.New(rand.NewPCG(1, uint64(rooms))), people: map[string][]string{}, rate: float64(rate)}
	for i := range rooms {
		t.rooms = append(t.rooms, RoomName(i))
		t.join(t.rooms[i])
	}
	c.AwaitMail()
	ctx, cancel := context.WithCancel(context.Background())
	t.end = cancel
	t.ended.Go(func() { t.run(ctx) })
	c.t.Cleanup(t.Stop)
	return t
}

// Stop ends the traffic. Its webhooks may still be in flight.
func (t *Traffic) Stop() {
	t.end()
	t.ended.Wait()
}

func (t *Traffic) run(ctx context.Context) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	begun, before := time.Now(), t.livekit.Stats().Queued
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(begun).Seconds() * t.rate); t.livekit.Stats().Queued-before < due; {
			t.step()
		}
	}
}

// step makes one thing happen in one room.
func (t *Traffic) step() {
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
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * patience); time.Now().Before(end); <-tick.C {
		if c.LiveKit.Stats().Waiting == 0 {
			return
		}
	}
	c.t.Fatalf("%d webhooks are still on their way", c.LiveKit.Stats().Waiting)
}

// Pass waits for a time while the traffic runs.
func (c *Cluster) Pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
