package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// attempts limits how often one message is decided. A conflict means that a script of ours landed late, and an alteration
// that somebody else changed Redis; neither lasts.
const attempts = 4

// errClaimedAgain means that a look is void because the claim under which it began has been replaced.
var errClaimedAgain = fmt.Errorf("%w: the room was claimed again during the look", ErrUnavailable)

// errTooOld means that a look has waited for so long that the room may have forgotten events that came meanwhile.
var errTooOld = fmt.Errorf("%w: the look is too old", ErrUnavailable)

// room is the actor of one room. All its fields belong to its mailbox.
type room struct {
	name      string
	env       *env
	held      *reconcile.Room // nil until the first claim
	claimedAt reconcile.Stamp // looks that began before this belong to an older claim
	claimed   bool            // held is what Redis has, as far as this owner knows
	unread    bool            // the last claim failed, so this owner does not know what Redis has
	lost      bool            // Redis has lost what was written, and no survey has reported it yet
	alerted   bool            // an entry without a readable sid has been logged
	lossShown bool            // the look that repaired the loss has reported it to the observer
	unasked   bool            // Redis has lost data or others have altered it, and no poll has been asked for yet
	idle      bool            // as last reported to the supervisor
	known     reconcile.Claim // likewise; zero for none
	poll      pollState
	shown     *reconcile.State // as last reported to the observer
}

// env is what all rooms of a host share.
type env struct {
	store    Store
	own      Ownership
	clock    Clock
	observer Observer
	log      *slog.Logger
	guard    crash.Guard      // of work outside the rooms' own actors
	poll     func(*poll) bool // starts a poll; false when too many are under way
	tell     func(msg any)    // to the supervisor
	by       *wait.Deadlines  // of the work on messages
}

// Receive handles one message. If the room crashes, the caller gets an answer before the supervisor restarts the room.
func (r *room) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *rest:
		r.env.tell(&resting{room: c.Self(), sent: m.sent})
	case *actor.Restarting:
		r.env.tell(&status{room: c.Self(), idle: true}) // a restarted room starts idle, and the supervisor must agree
		r.show(nil)
	case *actor.Stopped:
		r.show(nil)
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
	a := r.handle(call.context(r.env.by), msg)
	if r.unasked && !dry(msg) {
		r.unasked = false
		r.env.log.Warn("Redis does not hold what was written to it; the room is polled and written again", "room", r.name, "lost", r.lost)
		r.ask(&reconcile.Ask{Why: "lost or altered data"}, time.Time{})
	}
	r.report(c.Self()) // before the answer: what its receiver asks of the supervisor comes after the report
	call.answer(a)
}

// dry reports whether a message must change nothing that others can see.
func dry(msg message) bool {
	switch m := msg.(type) {
	case *prepare:
		return m.dry
	case *observe:
		return m.dry
	case *cleanup:
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
	case *cleanup:
		return r.cleanup(ctx, m)
	case *polled:
		r.pollEnded(m.poll)
	}
	return answer{}
}

func (r *room) deliver(ctx context.Context, m *deliver) answer {
	plan, err := r.decide(ctx, m.event)
	if err != nil {
		return answer{err: err}
	}
	r.ask(plan.Ask, time.Now()) // when it was committed, not when it came: the looks count from when the room remembers it
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
		return answer{err: errClaimedAgain}
	}
	if time.Duration(r.env.clock.Now().Stamp-m.look.Began) > reconcile.MaxLookAge {
		return answer{err: errTooOld}
	}
	plan, err := reconcile.Plan{}, error(nil)
	if m.dry {
		plan, err = r.rehearse(ctx, m.look)
	} else {
		plan, err = r.decide(ctx, m.look)
	}
	if err == nil {
		r.alert(plan.Unidentified)
	}
	if err == nil && m.look.Cycle != 0 {
		plan.Tally.Drift = r.reportLoss(plan.Tally.Drift, m)
	}
	return answer{look: &looked{tally: plan.Tally, changes: plan.Changes, needsSecondLook: plan.NeedsSecondLook}, err: err}
}

// alert logs, once, that entries whose sid cannot be read no longer protect anybody.
func (r *room) alert(cycles int) {
	over := cycles > reconcile.UnidentifiedCycles
	if over && !r.alerted {
		r.env.log.Error("LiveKit goes on listing a participant without a readable sid; absences count again in this room. Remove that participant, or report it to LiveKit",
			"room", r.name, "cycles", cycles)
	}
	r.alerted = over
}

// reportLoss adds a loss to a survey's findings, once. Whatever found the loss before that look (another claim, a webhook, a
// poll) has repaired it as well.
func (r *room) reportLoss(drift map[reconcile.Reason]int, m *observe) map[reconcile.Reason]int {
	if !r.lost {
		return drift
	}
	if !m.dry && !r.lossShown {
		r.env.observer.Changed(Effect{Room: r.name, Cause: m.look.Cause, At: r.env.clock.Now().Wall,
			Drift: []reconcile.Drift{{Reason: reconcile.LostWrite, SID: r.held.Instance.SID}}})
	}
	r.lost, r.lossShown = m.dry, m.dry && r.lossShown // a dry run leaves it to the next cycle
	return with(drift, reconcile.LostWrite)
}

// rehearse returns what a look would change. Its script only compares, which reveals what others have altered. Data that Redis has lost
// shows as a missing claim; the next look of the survey sees it.
func (r *room) rehearse(ctx context.Context, look reconcile.Look) (reconcile.Plan, error) {
	check := reconcile.Commit{Room: r.name, Claim: r.held.Claim, Expect: r.held.Stored, Version: r.held.Stored, Verify: reconcile.VerifyAll}
	receipt, err := r.env.store.Commit(ctx, check)
	if errors.Is(err, reconcile.Conflict) {
		r.claimed = false
		return reconcile.Plan{}, errClaimedAgain
	}
	if err != nil {
		return reconcile.Plan{}, r.failed(err, check.Claim)
	}
	r.held.Altered = r.held.Altered || receipt.Altered
	plan := reconcile.Step(r.held, look, r.env.clock.Now())
	if look.Permit == nil {
		r.held.Remember(plan) // what a permit would remove stays absent
	}
	return plan, nil
}

// decide steps the room by one input and commits the plan. It repeats both, up to attempts times, until a script has confirmed the result.
func (r *room) decide(ctx context.Context, in reconcile.Input) (reconcile.Plan, error) {
	err, ask := error(nil), (*reconcile.Ask)(nil)
	for range attempts {
		if err = r.load(ctx); err != nil {
			return reconcile.Plan{}, err
		}
		now := r.env.clock.Now()
		if look, ok := in.(reconcile.Look); ok && look.Began < r.claimedAt {
			return reconcile.Plan{}, errClaimedAgain
		}
		plan := reconcile.Step(r.held, in, now)
		if plan.Expired {
			return plan, ErrExpired
		}
		plan.Ask = cmp.Or(plan.Ask, ask)
		ask = plan.Ask // an earlier commit may have been made, and only its reply lost: then this plan has nothing left to ask for
		r.held.Touch(plan, now.Stamp)
		known := r.held.Altered
		receipt, failed := r.commit(ctx, plan.Commit, plan.Changed)
		if failed == nil {
			if receipt.Altered && plan.Commit.Public != reconcile.Keep {
				receipt.Altered = false // this commit has repaired the keys
				plan.Tally.Drift = with(plan.Tally.Drift, reconcile.ForeignChange)
				plan.Drift = append(plan.Drift, reconcile.Drift{Reason: reconcile.ForeignChange, SID: plan.Commit.Instance.SID})
			}
			r.held.Adopt(plan, receipt)
			r.reportChange(in, plan)
			if !receipt.Altered || known {
				return plan, nil // the repair of a known alteration may have to wait for a second look
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

// reportChange reports to the observer what a commit changed.
func (r *room) reportChange(in reconcile.Input, plan reconcile.Plan) {
	if plan.Commit.Public == reconcile.Keep {
		return // what a look only found is not repaired yet
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

// refused decides what a failure under a claim means. If it returns nil, the room must claim and decide again.
func (r *room) refused(err error, under reconcile.Claim) error {
	r.env.observer.Refused(err)
	r.claimed = false
	switch {
	case errors.Is(err, reconcile.StaleLeader):
		r.claimed = true // the record is unchanged; only this leader's term is over
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, reconcile.StaleOwner), errors.Is(err, reconcile.Split):
		r.held = nil // another owner may have written, so what was held is no longer valid
		if now, lost := r.env.own.Claim(r.name, reconcile.Claim{}); lost == nil && now.Compare(under) > 0 {
			return nil // this node owns the room again
		}
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if r.held != nil && !errors.As(err, new(reconcile.Refusal)) {
		r.held.Unproven = true // it may have been written, and read by others, before Redis was set back
	}
	return nil // a conflict, or an unknown outcome
}

// load makes sure that this node owns the room and that held is what Redis has. It always claims before it reads.
func (r *room) load(ctx context.Context) error {
	held := reconcile.Claim{}
	if r.held != nil {
		held = r.held.Claim
	}
	claim, err := r.env.own.Claim(r.name, held)
	if err != nil {
		r.claimed, r.unread, r.held = false, false, nil
		return err
	}
	if r.claimed && claim == held {
		return nil // a view that leaves us the room needs no new claim
	}
	stored, err := r.env.store.Claim(ctx, r.name, claim)
	if err != nil {
		err = r.failed(err, claim)
		r.unread = !errors.Is(err, ErrFenced)
		return err
	}
	r.unread = false
	lost := false
	r.claimed, r.claimedAt = true, r.env.clock.Now().Stamp
	r.held, lost = reconcile.Load(r.held, stored, r.claimedAt)
	if lost {
		r.lost = r.lost || r.held.Stored < r.held.Version // otherwise someone else has changed the keys
		r.unasked = true
	}
	return nil
}

// cleanup answers a CleanupRequest for this room. It delists an orphan of the index; a stale room needs a look.
func (r *room) cleanup(ctx context.Context, m *cleanup) answer {
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
		return answer{orphan: true}
	case age < m.stale:
		return answer{idle: true}
	}
	return answer{}
}

// failed returns the caller's error for a failure after which the room does not try again.
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

// show reports the state that this node holds to the observer, if it has changed. A State is immutable.
func (r *room) show(now *reconcile.State) {
	if now != r.shown {
		r.env.observer.Holds(r.shown, now)
		r.shown = now
	}
}

// report tells the supervisor when the room becomes idle, so that its actor may end, or stops being idle, and when its claim changes. A room that
// does not know what Redis holds, because a script failed, is not idle: the next look finds out, and perhaps nothing but this actor knows its name.
func (r *room) report(self *actor.PID) {
	if r.held == nil {
		r.show(nil)
	} else {
		r.show(r.held.State)
	}
	isIdle := !r.unread && r.held == nil || r.claimed && r.held.State == nil && !r.held.Altered && !r.held.HasPending() && r.poll.running == nil
	claim := reconcile.Claim{}
	if r.claimed {
		claim = r.held.Claim
	}
	if isIdle != r.idle || claim != r.known {
		r.idle, r.known = isIdle, claim
		r.env.tell(&status{room: self, idle: isIdle, claim: claim})
	}
}
