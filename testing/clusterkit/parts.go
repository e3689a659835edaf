package clusterkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakelivekit"
)

// What follows are a Cluster's parts for those who bring nodes of their own, in containers for example.

// NewTraffic makes traffic for the fake LiveKit without starting it: that many rooms, about rate webhooks a second.
func NewTraffic(livekit *fakelivekit.Fake, seed uint64, rooms, rate int) *Traffic {
	t := &Traffic{livekit: livekit, dice: rand.New(rand.NewPCG(seed, uint64(rooms))), people: map[string][]string{}, rate: float64(rate)}
	for i := range rooms {
		t.rooms = append(t.rooms, RoomName(i))
	}
	return t
}

// Fill lets one person into each room.
func (t *Traffic) Fill() {
	for _, room := range t.rooms {
		t.join(room)
	}
}

// Run goes on until ctx ends. Unlike a Cluster's traffic it counts what it does and not what is sent, so that it goes on at its
// rate where webhooks are dropped and where LiveKit is down.
func (t *Traffic) Run(ctx context.Context) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	begun, done := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for ; done < int(time.Since(begun).Seconds()*t.rate); done++ {
			t.step()
		}
	}
}

// Acknowledged holds every 200 to its promise: what the webhook told stood in the feed by then, or something newer. Where webhooks
// were held back on their way, what ended a participant may have come before the news of the join, which is covered by it and
// appends nothing. It gives ten problems at most.
func Acknowledged(feed []redis.XMessage, webhooks []Webhook) ([]string, error) {
	h, err := readHistory(feed)
	if err != nil {
		return nil, err
	}
	ends := endings(webhooks)
	var problems []string
	for _, w := range webhooks {
		if w.Event == "participant_joined" && ends.before(w) {
			continue
		}
		if err := h.covers(w); err != nil && len(problems) < 10 {
			problems = append(problems, fmt.Sprintf("acknowledged and not committed: %v: %+v", err, w))
		}
	}
	return problems, nil
}

// ending is when the news that ended a participant was first sent.
type ending map[string]time.Time // by room and sid

func endings(webhooks []Webhook) ending {
	ends := ending{}
	for _, w := range webhooks {
		key := w.Room + "\x00" + w.SID
		if first, known := ends[key]; w.Event == "participant_left" && (!known || w.First.Before(first)) {
			ends[key] = w.First
		}
	}
	return ends
}

// before tells whether the joiner's end may have been known when the join was answered.
func (e ending) before(join Webhook) bool {
	first, known := e[join.Room+"\x00"+join.SID]
	return known && first.Before(join.Answered)
}
