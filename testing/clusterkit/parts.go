package clusterkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// The functions below offer parts of a Cluster to callers that run their own nodes, for example in containers.

// NewTraffic returns traffic for the fake LiveKit, without starting it: that many rooms, about rate webhooks a second.
func NewTraffic(livekit *fakelivekit.Fake, seed uint64, rooms, rate int) *Traffic {
	t := &Traffic{livekit: livekit, dice: rand.New(rand.NewPCG(seed, uint64(rooms))), people: map[string][]string{}, rate: float64(rate)}
	for i := range rooms {
		t.rooms = append(t.rooms, RoomName(i))
	}
	return t
}

// Fill adds one participant to each room.
func (t *Traffic) Fill() {
	for _, room := range t.rooms {
		t.join(room)
	}
}

// Run runs until ctx ends. Unlike a Cluster's traffic it counts its actions, not the webhooks that are sent, so that it keeps its
// rate where webhooks are dropped and while LiveKit is down.
func (t *Traffic) Run(ctx context.Context) {
	before := t.steps
	t.keepRate(ctx, func() int { return t.steps - before })
}

// Acknowledged checks every 200 against its promise: the event or something newer was in the feed by then. Where webhooks were
// held back, the end of a participant may have arrived before the join. The end then covers the join, which appends nothing.
// Acknowledged returns at most ten problems.
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

// ending records when the event that ended a participant was first sent.
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

// before reports whether the end of join's participant may have been known when the join was answered.
func (e ending) before(join Webhook) bool {
	first, known := e[join.Room+"\x00"+join.SID]
	return known && first.Before(join.Answered)
}
