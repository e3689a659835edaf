package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// HostConfig is what a Host needs. All ports must be set.
type HostConfig struct {
	Store     Store
	Rooms     Rooms
	Ownership Ownership
	Clock     Clock
	Observer  Observer
	Log       *slog.Logger
	// Contained, if not nil, is called for each panic that ended a look, a poll or other work outside a room's own actor. For a room's crash
	// Observer.Crashed is called.
	Contained func()
	// Index, if not nil, lists the rooms to claim as soon as a view makes this node their owner.
	Index Index
	// Rest is how long the actor of an idle room stays after the last webhook. The default is 2 min.
	Rest time.Duration
	// Lag is how far LiveKit's lists may lag behind its webhooks, at most reconcile.MaxLag. Syncs do not contradict what a webhook reported
	// within that time. 0 switches the protection off.
	Lag time.Duration
	// Trace, if not nil, returns a function that adds the trace of an event's context to the context of its commit. It may return nil for an
	// event without a trace.
	Trace func(ctx context.Context) func(context.Context) context.Context
	// Polls limits the concurrent polls that events asked for. The default is 1000.
	Polls int
}

// Host runs the rooms that this node owns. It is an Owner.
type Host struct {
	env     *env
	trace   func(ctx context.Context) func(context.Context) context.Context
	livekit Rooms
	lag     time.Duration
	system  *actor.ActorSystem
	rooms   *actor.PID // the supervisor
	poller  *poller
	surveys surveys
	pace    pace
	life    context.Context
	end     context.CancelFunc
	ticks   sync.WaitGroup
	stop    sync.Once
}

var _ Owner = (*Host)(nil)

// NewHost starts the supervisor. Stop ends it.
func NewHost(c HostConfig) (*Host, error) {
	if c.Rest == 0 {
		c.Rest = 2 * time.Minute
	}
	if c.Polls == 0 {
		c.Polls = 1000
	}
	h := &Host{trace: c.Trace, livekit: c.Rooms, lag: min(c.Lag, reconcile.MaxLag)}
	h.life, h.end = context.WithCancel(context.Background())
	h.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warningsOnly{c.Log.Handler()})
	}))
	guard := crash.Guard{Log: c.Log, Count: c.Contained}
	h.poller = &poller{host: h, lists: &lister{rooms: c.Rooms, guard: guard, life: h.life}, slots: make(chan struct{}, c.Polls),
		looks: make(chan struct{}, pollLooks)}
	h.env = &env{store: c.Store, own: c.Ownership, clock: c.Clock, observer: c.Observer, log: c.Log, guard: guard,
		poll: h.poller.start, tell: h.send, by: wait.NewDeadlines(h.life)}
	dispatcher := newDispatcher(h.life.Done())
	props := actor.PropsFromProducer(func() actor.Actor {
		return &supervisor{env: h.env, rest: c.Rest, rooms: map[string]*entry{}, names: map[string]string{},
			backoff: backoff{first: 100 * time.Millisecond, limit: 30 * time.Second, window: 5 * time.Minute}, restarts: map[string]*time.Timer{},
			dispatcher: dispatcher}
	}, actor.WithDispatcher(dispatcher))
	rooms, err := h.system.Root.SpawnNamed(props, "rooms")
	if err != nil {
		h.end()
		return nil, fmt.Errorf("start the rooms supervisor: %w", err)
	}
	h.rooms = rooms
	h.ticks.Go(func() { h.tick(c.Rest / 4) })
	h.ticks.Go(func() { h.follow(c.Index) })
	return h, nil
}

// warningsOnly lets only warnings and errors of the actor library through.
type warningsOnly struct{ slog.Handler }

func (q warningsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// send sends msg to the supervisor. After the host has ended there is none, and the message is not worth a dead letter.
func (h *Host) send(msg any) {
	if h.life.Err() == nil {
		h.system.Root.Send(h.rooms, msg)
	}
}

func (h *Host) tick(every time.Duration) {
	for wait.For(h.life, every) == nil {
		h.send(passivate{})
	}
}

// ask sends one room a message and waits for its answer, until ctx ends and not longer than lookTimeout.
func (h *Host) ask(ctx context.Context, room string, msg message) (answer, error) {
	deadline := time.Now().Add(lookTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	by := h.env.by.At(deadline)
	select {
	case a := <-h.begin(room, deadline, msg):
		return a, a.err
	case <-ctx.Done():
		return answer{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case <-by.Done():
		if h.life.Err() != nil {
			return answer{}, fmt.Errorf("%w: %w", ErrUnavailable, ErrClosing)
		}
		return answer{}, fmt.Errorf("%w: %w", ErrUnavailable, by.Err())
	}
}

// begin sends one room a message and returns where the answer will come. After the deadline the room does not begin with it. A host that ends
// answers nothing.
func (h *Host) begin(room string, deadline time.Time, msg message) <-chan answer {
	reply := make(chan answer, 1)
	c := msg.message()
	c.deadline, c.reply = deadline, reply
	h.send(&toRoom{name: room, msg: msg})
	return reply
}

// Deliver passes a webhook to a room of this node.
func (h *Host) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := h.ask(ctx, e.Room.Name, h.delivery(ctx, e))
	return err
}

// delivery makes the message that brings a webhook.
func (h *Host) delivery(ctx context.Context, e reconcile.Event) message {
	m := &deliver{event: e}
	if h.trace != nil {
		m.trace = h.trace(ctx)
	}
	return m
}

func (h *Host) prepare(ctx context.Context, room string, dry bool) error {
	_, err := h.ask(ctx, room, &prepare{dry: dry})
	return err
}

func (h *Host) observe(ctx context.Context, room string, look reconcile.Look, dry bool) (looked, error) {
	a, err := h.ask(ctx, room, &observe{look: look, dry: dry})
	if a.look == nil {
		return looked{}, err
	}
	return *a.look, err
}

// unclaimed returns those of the rooms that must be claimed before a look, or all if nobody can say.
func (h *Host) unclaimed(ctx context.Context, rooms []string) []string {
	reply := make(chan []string, 1)
	h.send(&unclaimed{rooms, reply})
	select {
	case without := <-reply:
		return without
	case <-ctx.Done():
	case <-h.life.Done():
	}
	return rooms
}

// Names returns the rooms that have an actor, without those that only a look has asked for and that nobody has.
func (h *Host) Names(ctx context.Context) ([]string, error) {
	reply := make(chan []string, 1)
	h.send(&activeRooms{reply})
	select {
	case names := <-reply:
		return names, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.life.Done():
		return nil, ErrClosing
	}
}

// Stop lets every room finish the messages that it has, refuses later ones, and ends the polls. It returns early, with an
// error, if ctx ends first.
func (h *Host) Stop(ctx context.Context) error {
	done := make(chan struct{})
	h.send(&drain{done})
	err := error(nil)
	select {
	case <-done:
	case <-h.life.Done():
	case <-ctx.Done():
		err = fmt.Errorf("stop the rooms: %w", ctx.Err())
	}
	h.end()
	h.stop.Do(func() {
		h.ticks.Wait()
		h.poller.close()
		h.system.Root.Stop(h.rooms)
		h.system.Shutdown()
	})
	return err
}
