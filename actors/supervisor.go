package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/reconcile"
)

// bufferLimit limits the messages that wait for a room to stop and start again.
const bufferLimit = 1000

// supervisor is the actor "rooms". Only it sends to rooms, and only it stops them, so that no message is queued behind a stop.
type supervisor struct {
	env     *env
	rest    time.Duration // how long a finished room stays without messages
	rooms   map[string]*entry
	names   map[string]string // pid id → room
	drained chan<- struct{}   // not nil: the host is stopping

	backoff    backoff
	dispatcher *dispatcher
	restarts   map[string]*time.Timer // pid id → the restart of a crashed room
}

// HandleFailure restarts a crashed room after its back-off. The room's messages wait meanwhile; the restarted room claims
// and reads before it goes on. While the host stops, the restart is immediate.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, up actor.Supervisor, room *actor.PID, rs *actor.RestartStatistics, _, _ any) {
	delay := s.backoff.next(rs)
	if s.drained != nil {
		delay = 0
	}
	if e := s.rooms[s.names[room.Id]]; e != nil {
		e.claim = reconcile.Claim{} // nothing of the room is left
	}
	s.restarts[room.Id] = time.AfterFunc(delay, func() { up.RestartChildren(room) })
}

type entry struct {
	pid     *actor.PID
	idle    bool
	existed bool            // a webhook has named it, or it was not idle at some time
	used    time.Time       // when the last webhook came; a sync's look does not keep an idle room
	claim   reconcile.Claim // as the room last said
	closing bool
	sent    uint32    // messages to it so far
	buffer  []message // messages that came while closing
}

// Receive handles one message to the supervisor.
func (s *supervisor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *toRoom:
		s.forward(c, m)
	case *status:
		if e := s.rooms[s.names[m.room.Id]]; e != nil {
			e.idle, e.claim = m.idle, m.claim
			e.existed = e.existed || !m.idle
		}
	case passivate:
		s.passivate(c)
	case *resting:
		s.stopResting(c, m)
	case viewChanged:
		s.viewChanged(c)
	case *activeRooms:
		s.activeRooms(m)
	case *unclaimed:
		s.unclaimed(m)
	case *actor.Terminated:
		s.terminated(c, m.Who)
	case *drain:
		s.drain(c, m)
	}
}

func (s *supervisor) forward(c actor.Context, m *toRoom) {
	e := s.rooms[m.name]
	switch {
	case s.drained != nil:
		m.msg.message().answer(answer{err: ErrClosing})
		return
	case e == nil:
		e = s.spawn(c, m.name)
	case e.closing && len(e.buffer) >= bufferLimit:
		m.msg.message().answer(answer{err: ErrBusy})
		return
	case e.closing:
		e.buffer = append(e.buffer, m.msg)
		return
	}
	if _, webhook := m.msg.(*deliver); webhook {
		e.used, e.existed = time.Now(), true
	}
	e.sent++
	c.Send(e.pid, m.msg)
}

func (s *supervisor) spawn(c actor.Context, name string) *entry {
	props := actor.PropsFromProducer(func() actor.Actor {
		return &room{name: name, env: s.env, idle: true}
	}, actor.WithDispatcher(s.dispatcher))
	e := &entry{pid: c.Spawn(props), idle: true, used: time.Now()}
	s.rooms[name], s.names[e.pid.Id] = e, name
	s.env.observer.Rooms(len(s.rooms))
	return e
}

func (s *supervisor) passivate(c actor.Context) {
	for _, e := range s.rooms {
		if e.idle && !e.closing && time.Since(e.used) >= s.rest {
			c.Send(e.pid, &rest{e.sent})
		}
	}
}

// stopResting stops a room that has had no message since it was asked. The message that it is working on may show that it must not stop: if Redis
// fails, perhaps nothing but this actor knows the room's name.
func (s *supervisor) stopResting(c actor.Context, m *resting) {
	if e := s.rooms[s.names[m.room.Id]]; e != nil && e.idle && !e.closing && e.sent == m.sent {
		e.closing = true
		c.Poison(e.pid)
	}
}

// activeRooms leaves out a room that only a look has asked for, and that nobody has: later syncs do not compare it.
func (s *supervisor) activeRooms(m *activeRooms) {
	names := make([]string, 0, len(s.rooms))
	for name, e := range s.rooms {
		if e.existed {
			names = append(names, name)
		}
	}
	m.reply <- names
}

func (s *supervisor) unclaimed(m *unclaimed) {
	var rooms []string
	for _, name := range m.rooms {
		if e := s.rooms[name]; e == nil || e.closing || !s.holds(name, e.claim) {
			rooms = append(rooms, name)
		}
	}
	m.reply <- rooms
}

// holds reports whether a room that was claimed under held needs no other claim.
func (s *supervisor) holds(room string, held reconcile.Claim) bool {
	claim, err := s.env.own.Claim(room, held)
	return err == nil && claim == held
}

// terminated removes a room that has stopped, or starts it again for the messages that came while it stopped.
func (s *supervisor) terminated(c actor.Context, who *actor.PID) {
	name, ok := s.names[who.Id]
	if !ok {
		return
	}
	e := s.rooms[name]
	delete(s.rooms, name)
	delete(s.names, who.Id)
	delete(s.restarts, who.Id)
	s.env.observer.Rooms(len(s.rooms))
	// The library's list of children keeps the pid of a child that has ended, and with it the whole room, until another child
	// takes its place. A pid releases a dead process when it is next used. What is sent here goes nowhere.
	c.Unwatch(e.pid)
	for _, msg := range e.buffer {
		s.forward(c, &toRoom{name: name, msg: msg})
	}
	if s.drained != nil && len(s.rooms) == 0 {
		close(s.drained)
	}
}

// drain stops each room after the messages that it already has.
func (s *supervisor) drain(c actor.Context, m *drain) {
	if s.drained != nil {
		return
	}
	s.drained = m.done
	if len(s.rooms) == 0 {
		close(m.done)
		return
	}
	for _, e := range s.rooms {
		if !e.closing {
			e.closing = true
			c.Poison(e.pid)
		}
	}
	for _, restart := range s.restarts {
		if restart.Stop() {
			restart.Reset(0)
		}
	}
}
