package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/reconcile"
)

// attempts bounds how often one message is evaluated anew: a conflict means that a script of ours landed late, and
// alteration that Redis was changed under us; neither lasts.
const attempts = 4

// errClaimedAnew says that a look has died with the claim under which it began.
var errClaimedAnew = fmt.Errorf("%w: the room was claimed anew during the look", ErrUnavailable)

// errTooOld says that a look has waited for so long that what events have told since may be forgotten.
var errTooOld = fmt.Errorf("%w: the look is too old", ErrUnavailable)

// room is the actor of one room. All its fields belong to its mailbox.
type room struct {
	name      string
	env       *env
	life      context.Context // ends with the host
	held      *reconcile.Room // nil until the first claim
	claimedAt reconcile.Stamp // looks that began before this belong to an older claim
	claimed   bool            // held is what Redis has, as far as this owner knows
	lost      bool            // Redis has lost what was written, and no survey has told of it yet
	alerted   bool            // an entry without a readable sid has been told of
	lossShown bool            // the observer has been told of it, by the look that mended it
	unasked   bool            // what Redis has lost or others have altered waits for a poll to be asked for
	rests     bool            // as last told to the supervisor
	poll      pollState
}

// env is what all rooms of a host share.
type env struct {
	store    Store
	own      Ownership
	clock    Clock
	observer Observer
	log      *slog.Logger
	poll     func(*poll) bool // starts a poll; false when too many are under way
	tell     func(msg any)    // to the supervisor
}

// Receive handles one message. A crash answers its caller before the supervisor restarts the room.
func (r *room) Receive(c actor.Context) {
	if _, crashed := c.Message().(*actor.Restarting); crashed {
		r.env.tell(&resting{name: r.name, rest: true}) // what the new one assumes, too
	}
	msg, ok := c.Message().(message)
	if !ok {
		return
	}
	call := msg.message()
	defer func() {
		if cause := recover(); cause != nil {
			r.env.observer.Crashed()
			r.env.log.Error("a room crashed and restarts from Redis; please report this with the stack",
				"room", r.name, "cause", cause, "stack", string(debug.Stack()))
			call.answer(answer{err: fmt.Errorf("%w: the room crashed", ErrUnavailable)})
			panic(cause)
		}
	}()
	if call.expired(time.Now()) {
		call.answer(answer{err: fmt.Errorf("%w: %w", ErrUnavailable, context.DeadlineExceeded)})
		return
	}
	ctx, cancel := call.context(r.life)
	defer cancel()
	a := r.handle(ctx, msg)
	if r.unasked && !dry(msg) {
		r.unasked = false
		r.env.log.Warn("Redis does not hold what was written to it; the room is polled and written again", "room", r.name, "lost", r.lost)
		r.ask(&reconcile.Ask{Why: "lost or altered data"}, time.Time{})
	}
	call.answer(a)
	r.report()
}

// dry tells whether a message must change nothing that others can see.
func dry(msg message) bool {
	switch m := msg.(type) {
	case *prepare:
		return m.dry
	case *observe:
		return m.dry
	case *tend:
		return m.dry
	}
	return false
}

func (r *room) handle(ctx context.Context, msg message) answer {
	switch m := msg.(type) {
	case *deliver:
		return r.deliver(reconcile.Urgent(ctx), m)
	case *prepare:
		return answer{err: r.load(ctx)}
	case *observe:
		return r.observe(ctx, m)
	case *tend:
		return r.tend(ctx, m)
	case *polled:
		r.pollEnded(m.poll)
	}
	return answer{}
}

func (r *room) deliver(ctx context.Context, m *deliver) answer {
	came := time.Now()
	plan, err := r.evaluate(ctx, m.event)
	if err != nil {
		return answer{err: err}
	}
	r.ask(plan.Ask, came)
	return answer{}
}

func (r *room) observe(ctx context.Context, m *observe) answer {
	if m.look.Permit != nil {
		if m.look.Permit.Leader.Compare(r.env.own.Leader()) < 0 {
			return answer{err: fmt.Errorf("%w: the permit is of an older leader", ErrFenced)}
		}
	}
	if err := r.load(ctx); err != nil {
		return answer{err: err}
	}
	if m.look.Began < r.claimedAt {
		return answer{err: errClaimedAnew}
	}
	if time.Duration(r.env.clock.Now().Stamp-m.look.Began) > reconcile.MaxLookAge {
		return answer{err: errTooOld}
	}
	plan, err := reconcile.Plan{}, error(nil)
	if m.dry {
		plan, err = r.rehearse(ctx, m.look)
	} else {
		plan, err = r.evaluate(ctx, m.look)
	}
	if err == nil {
		r.alert(plan.Unidentified)
	}
	if err == nil && m.look.Cycle != 0 {
		plan.Tally.Drift = r.tellLoss(plan.Tally.Drift, m)
	}
	return answer{look: looked{tally: plan.Tally, changes: plan.Changes, again: plan.Again}, err: err}
}

// alert tells, once, that entries whose sid cannot be read protect nobody any more.
func (r *room) alert(cycles int) {
	over := cycles > reconcile.UnidentifiedCycles
	if over && !r.alerted {
		r.env.log.Error("LiveKit goes on listing a participant without a readable sid; absences count again in this room. Remove that participant, or report it to LiveKit",
			"room", r.name, "cycles", cycles)
	}
	r.alerted = over
}

// tellLoss adds a loss to a survey's findings, once: whatever found it before that look (the claim of another, a webhook, a
// poll) has repaired it as well.
func (r *room) tellLoss(drift map[reconcile.Reason]int, m *observe) map[reconcile.Reason]int {
	if !r.lost {
		return drift
	}
	if !m.dry && !r.lossShown {
		r.env.observer.Changed(Effect{Room: r.name, Cause: m.look.Cause, At: r.env.clock.Now().Wall,
			Drift: []reconcile.Drift{{Reason: reconcile.LostWrite, SID: r.held.Instance.SID}}})
	}
	r.lost, r.lossShown = m.dry, m.dry && r.lossShown // a dry run leaves it to the next
	return with(drift, reconcile.LostWrite)
}

// rehearse is what a look would change. Its script only compares, so that alteration by others shows; what Redis has lost shows as a
// claim that is no more, and the next look of the survey sees it.
func (r *room) rehearse(ctx context.Context, look reconcile.Look) (reconcile.Plan, error) {
	check := reconcile.Commit{Room: r.name, Claim: r.held.Claim, Expect: r.held.Stored, Version: r.held.Stored, Verify: true}
	receipt, err := r.env.store.Commit(ctx, check)
	if errors.Is(err, reconcile.Conflict) {
		r.claimed = false
		return reconcile.Plan{}, errClaimedAnew
	}
	if err != nil {
		return reconcile.Plan{}, r.failed(err, check.Claim)
	}
	r.held.Altered = r.held.Altered || receipt.Altered
	plan := reconcile.Step(r.held, look, r.env.clock.Now())
	if look.Permit == nil {
		r.held.Remember(plan) // what a permit would remove goes on being absent
	}
	return plan, nil
}

// evaluate steps the room by one input and commits, until a script has confirmed the result.
func (r *room) evaluate(ctx context.Context, in reconcile.Input) (reconcile.Plan, error) {
	err := error(nil)
	for range attempts {
		if err = r.load(ctx); err != nil {
			return reconcile.Plan{}, err
		}
		now := r.env.clock.Now()
		if look, ok := in.(reconcile.Look); ok && look.Began < r.claimedAt {
			return reconcile.Plan{}, errClaimedAnew
		}
		plan := reconcile.Step(r.held, in, now)
		if plan.Expired {
			return plan, ErrExpired
		}
		r.held.Touch(plan, now.Stamp)
		known := r.held.Altered
		receipt, failed := r.commit(ctx, plan.Commit, plan.Changed)
		if failed == nil {
			if receipt.Altered && plan.Commit.Public != reconcile.Keep {
				receipt.Altered = false // this commit has put the keys right
				plan.Tally.Drift = with(plan.Tally.Drift, reconcile.ForeignChange)
				plan.Drift = append(plan.Drift, reconcile.Drift{Reason: reconcile.ForeignChange, SID: plan.Commit.Instance.SID})
			}
			r.held.Adopt(plan, receipt)
			r.tell(in, plan)
			if !receipt.Altered || known {
				return plan, nil // what is known to be altered may have to wait for a second look
			}
			err = fmt.Errorf("%w: someone else keeps changing the room's keys", ErrUnavailable)
			continue
		}
		if err = r.refused(failed, plan.Commit.Claim); err != nil {
			return reconcile.Plan{}, err
		}
		err = fmt.Errorf("%w: %w", ErrUnavailable, failed)
	}
	return reconcile.Plan{}, err
}

// tell tells of what a commit changed.
func (r *room) tell(in reconcile.Input, plan reconcile.Plan) {
	if plan.Commit.Public == reconcile.Keep {
		return // what a look found and left is not repaired yet
	}
	e := Effect{Room: r.name, Cause: plan.Commit.Cause, At: r.env.clock.Now().Wall, Changes: len(plan.Changes)}
	if event, ok := in.(reconcile.Event); ok {
		e.Since, e.Exact = event.At()
	} else {
		e.Drift = plan.Drift
		r.lossShown = r.lossShown || slices.ContainsFunc(e.Drift, func(d reconcile.Drift) bool { return d.Reason == reconcile.LostWrite })
	}
	r.env.observer.Changed(e)
}

func (r *room) commit(ctx context.Context, c reconcile.Commit, writes bool) (reconcile.Receipt, error) {
	began := time.Now()
	receipt, err := r.env.store.Commit(ctx, c)
	if err != nil {
		return receipt, err
	}
	r.env.observer.Committed(c.Cause, writes, time.Since(began))
	return receipt, nil
}

// refused decides what a failure under a claim means: nil is to claim again and evaluate anew.
func (r *room) refused(err error, under reconcile.Claim) error {
	r.env.observer.Refused(err)
	r.claimed = false
	switch {
	case errors.Is(err, reconcile.StaleLeader):
		r.claimed = true // the record stands; only this leader's time is over
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, reconcile.StaleOwner), errors.Is(err, reconcile.Split):
		r.held = nil // another owner may have written: nothing that was held counts
		if now, lost := r.env.own.Claim(r.name, reconcile.Claim{}); lost == nil && now.Compare(under) > 0 {
			return nil // and the room has come back since
		}
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if r.held != nil && !errors.As(err, new(reconcile.Refusal)) {
		r.held.Unproven = true // it may have been written, and read by others, before Redis was set back
	}
	return nil // a conflict, or an unknown outcome
}

// load makes sure that the room is this node's and that held is what Redis has: claim before read, always.
func (r *room) load(ctx context.Context) error {
	held := reconcile.Claim{}
	if r.held != nil {
		held = r.held.Claim
	}
	claim, err := r.env.own.Claim(r.name, held)
	if err != nil {
		r.claimed, r.held = false, nil
		return err
	}
	if r.claimed && claim == held {
		return nil // a view that leaves us the room needs no new claim
	}
	stored, err := r.env.store.Claim(ctx, r.name, claim)
	if err != nil {
		return r.failed(err, claim)
	}
	lost := false
	r.claimed, r.claimedAt = true, r.env.clock.Now().Stamp
	r.held, lost = reconcile.Load(r.held, stored, r.claimedAt)
	if lost {
		r.lost = r.lost || r.held.Stored < r.held.Version // otherwise someone else has changed the keys
		r.unasked = true
	}
	return nil
}

// tend answers the cleanup: an orphan of the index is delisted, a stale room wants a look.
func (r *room) tend(ctx context.Context, m *tend) answer {
	if m.leader.Compare(r.env.own.Leader()) < 0 {
		return answer{err: fmt.Errorf("%w: the cleanup is of an older leader", ErrFenced)}
	}
	if err := r.load(ctx); err != nil {
		return answer{err: err}
	}
	confirmed := r.held.ConfirmedAt
	if s := r.held.State; s != nil {
		confirmed = max(confirmed, s.CreatedAt) // it cannot have been unconfirmed for longer than it exists
	}
	age := time.Duration(r.env.clock.Now().Wall-confirmed) * time.Millisecond
	switch {
	case r.held.State == nil && !r.held.Altered:
		if !m.dry {
			if err := r.env.store.Delist(ctx, r.name, r.held.Claim, m.leader); err != nil {
				return answer{err: r.failed(err, r.held.Claim)}
			}
		}
		return answer{look: looked{tally: reconcile.Tally{Cleaned: 1}}}
	case age < m.stale:
		return answer{idle: true}
	}
	return answer{}
}

// failed is what a caller learns of a failure after which the room tries no more.
func (r *room) failed(err error, under reconcile.Claim) error {
	if refused := r.refused(err, under); refused != nil {
		return refused
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// with adds a reason to the drift of one room.
func with(drift map[reconcile.Reason]int, reason reconcile.Reason) map[reconcile.Reason]int {
	if drift == nil {
		drift = map[reconcile.Reason]int{}
	}
	drift[reason] = 1
	return drift
}

// report tells the supervisor when the room begins or ends to be idle for good.
func (r *room) report() {
	rest := r.held == nil || r.held.State == nil && !r.held.Altered && !r.held.Doubtful() && r.poll.running == nil
	if rest != r.rests {
		r.rests = rest
		r.env.tell(&resting{name: r.name, rest: rest})
	}
}
