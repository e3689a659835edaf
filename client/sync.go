package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const syncPath = "/api/sync-rooms"

// Result counts what a sync cycle did, in rooms.
type Result struct {
	Synced  int `json:"synced"`  // compared
	Errors  int `json:"errors"`  // could not be compared
	Cleaned int `json:"cleaned"` // removed
}

// Held counts the removals that the breaker holds back.
type Held struct {
	Rooms        int `json:"rooms"`
	Participants int `json:"participants"`
	// Cycles is how many scheduled syncs have agreed so far.
	Cycles int `json:"cycles"`
}

// Report describes the cluster's last sync or cleanup, as a node knows it.
type Report struct {
	StartedAt  time.Time `json:"startedAt"`
	DurationMs int64     `json:"durationMs"`
	// Scheduled is false for a cycle that an operator asked for.
	Scheduled bool   `json:"scheduled"`
	Result    Result `json:"result"`
	// Changed is how many rooms differed.
	Changed int `json:"changed"`
	// Drift counts repairs by reason, such as "missed join".
	Drift map[string]int `json:"drift,omitempty"`
	// Deferred counts the differences that were left alone because a webhook had just reported otherwise; the next cycle
	// decides.
	Deferred int   `json:"deferred,omitempty"`
	Held     *Held `json:"held,omitempty"`
	// FirstError is one of the errors that Result counts.
	FirstError string `json:"firstError,omitempty"`
	// PassedOver describes the entries of LiveKit's lists that could not be used.
	PassedOver *PassedOver `json:"passedOver,omitempty"`
	// Slow means that the cycle took longer than 5 min.
	Slow bool `json:"slow,omitempty"`
	// Fault says why the cycle compared no room: livekit_silent, livekit_refuses, livekit_limited or redis_silent. Empty if it did.
	Fault string `json:"fault,omitempty"`
	// RedisEmpty means, with a fault of LiveKit, that Redis held no room as the cycle began.
	RedisEmpty bool `json:"redisEmpty,omitempty"`
}

// PassedOver counts entries of LiveKit's lists that could not be used, and
// describes the first of them.
type PassedOver struct {
	Entries int    `json:"entries"`
	First   string `json:"first"`
}

// Interval is a duration that JSON carries as milliseconds. A Go duration such as "30s" is accepted too.
type Interval time.Duration

// MarshalJSON writes milliseconds.
func (i Interval) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Duration(i).Milliseconds(), 10), nil
}

// UnmarshalJSON reads milliseconds or a Go duration.
func (i *Interval) UnmarshalJSON(data []byte) error {
	var ms int64
	if json.Unmarshal(data, &ms) == nil {
		d := time.Duration(ms) * time.Millisecond
		if d.Milliseconds() != ms {
			return fmt.Errorf("an interval of %d ms is longer than a duration can be", ms)
		}
		*i = Interval(d)
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("an interval is neither milliseconds nor a duration: %w", err)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("an interval is no duration: %w", err)
	}
	*i = Interval(d)
	return nil
}

// Status is the answer to GET /api/sync-rooms. Except for the first two fields, any may be absent (zero or nil).
type Status struct {
	// SyncServiceRunning is the cluster's switch of the schedule.
	SyncServiceRunning bool       `json:"syncServiceRunning"`
	Timestamp          time.Time  `json:"timestamp"` // by the node's clock
	Node               string     `json:"node,omitempty"`
	Leader             string     `json:"leader,omitempty"`
	Term               uint64     `json:"term,omitempty"`
	SyncInterval       Interval   `json:"syncInterval,omitempty"`
	CleanupInterval    Interval   `json:"cleanupInterval,omitempty"`
	NextSync           *time.Time `json:"nextSync,omitempty"`
	NextCleanup        *time.Time `json:"nextCleanup,omitempty"`
	LastSync           *Report    `json:"lastSync,omitempty"`
	LastCleanup        *Report    `json:"lastCleanup,omitempty"`
	// LastGoodSync is when the last sync without an error began; nil if none is known.
	LastGoodSync *time.Time `json:"lastGoodSync,omitempty"`
	// Progress is the progress of the running cycle.
	Progress *Progress `json:"progress,omitempty"`
	// Redis is how Redis answers the node; LiveKit is how LiveKit answered the last sync. Older nodes do not say.
	Redis   *Dependency `json:"redis,omitempty"`
	LiveKit *Dependency `json:"livekit,omitempty"`
	// MayAct is true if the client's token allows actions, and not only reading.
	MayAct bool `json:"mayAct,omitempty"`
}

// Dependency is how something answers that rollcall depends on.
type Dependency struct {
	// State is ok, silent, refuses, limited (LiveKit's limit of requests), partial (some masters of a Redis Cluster) or unknown.
	State string `json:"state"`
	// Error is the reason, unless State is ok or unknown.
	Error string `json:"error,omitempty"`
	// At is when LiveKit was asked.
	At *time.Time `json:"at,omitempty"`
	// Since is since when it fails; nil while it answers, and if it is not known.
	Since *time.Time `json:"since,omitempty"`
}

// Progress is how far a cycle has got: Done rooms have been compared, out of Of that are known so far.
type Progress struct {
	Kind      string    `json:"kind"` // sync or cleanup
	StartedAt time.Time `json:"startedAt"`
	Done      int       `json:"done"`
	Of        int       `json:"of"`
	// Slow means that the cycle is not expected to end within 5 min.
	Slow bool `json:"slow,omitempty"`
}

// ActionOptions change what an action does.
type ActionOptions struct {
	// DryRun changes no key: the answer lists what would change.
	DryRun bool
	// Force allows removals that the breaker holds back.
	Force bool
}

// WouldChange is one change that a dry run did not make.
type WouldChange struct {
	Room     string `json:"room"`
	Change   string `json:"change"`
	Identity string `json:"identity,omitempty"`
	SID      string `json:"sid,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// SyncAnswer is the answer to Sync and SyncRoom.
type SyncAnswer struct {
	Action string `json:"action"`
	Room   string `json:"room,omitempty"` // of SyncRoom
	// Found is, of SyncRoom, false if neither Redis nor LiveKit has the room; nil if it was not compared, or the node is older.
	Found       *bool         `json:"found,omitempty"`
	Result      Result        `json:"result"`
	Timestamp   time.Time     `json:"timestamp"`
	Held        *Held         `json:"held,omitempty"`
	WouldChange []WouldChange `json:"wouldChange,omitzero"` // in dry runs
	FirstError  string        `json:"firstError,omitempty"` // one of those that were counted
	Fault       string        `json:"fault,omitempty"`      // as in a Report
	RedisEmpty  bool          `json:"redisEmpty,omitempty"` // as in a Report
}

// CleanupAnswer is the answer to Cleanup; Cleaned counts rooms.
type CleanupAnswer struct {
	Action      string        `json:"action"`
	Cleaned     int           `json:"cleaned"`
	Timestamp   time.Time     `json:"timestamp"`
	Held        *Held         `json:"held,omitempty"`
	WouldChange []WouldChange `json:"wouldChange,omitzero"` // in dry runs
	FirstError  string        `json:"firstError,omitempty"` // one of those that were counted
	Fault       string        `json:"fault,omitempty"`      // as in a Report
	RedisEmpty  bool          `json:"redisEmpty,omitempty"` // as in a Report
}

// FullSyncAnswer is the answer to FullSync; Cleanup counts rooms.
type FullSyncAnswer struct {
	Action      string        `json:"action"`
	Sync        Result        `json:"sync"`
	Cleanup     int           `json:"cleanup"`
	Timestamp   time.Time     `json:"timestamp"`
	Held        *Held         `json:"held,omitempty"`
	WouldChange []WouldChange `json:"wouldChange,omitzero"` // in dry runs
	FirstError  string        `json:"firstError,omitempty"` // one of those that were counted
	Fault       string        `json:"fault,omitempty"`      // as in a Report
	RedisEmpty  bool          `json:"redisEmpty,omitempty"` // as in a Report
}

// ServiceAnswer is the answer to StartService and StopService.
type ServiceAnswer struct {
	Action    string    `json:"action"`
	Running   bool      `json:"running"`
	Timestamp time.Time `json:"timestamp"`
}

type action struct {
	Action string `json:"action"`
	DryRun bool   `json:"dryRun,omitempty"`
	Force  bool   `json:"force,omitempty"`
	Room   string `json:"room,omitempty"`
}

// Status returns the state of the sync; any node knows it.
func (c *Client) Status(ctx context.Context) (Status, error) {
	s, err := get[Status](ctx, c, syncPath)
	if err == nil && s.Timestamp.IsZero() {
		return Status{}, ErrNotRollcall
	}
	return s, err
}

// Sync compares every room with LiveKit and returns when that is done. A plain sync joins a cycle that is running.
func (c *Client) Sync(ctx context.Context, o ActionOptions) (SyncAnswer, error) {
	return act[SyncAnswer](ctx, c, action{Action: "sync"}, o)
}

// SyncRoom compares one room with LiveKit and returns when that is done. It waits for a cycle that is running.
func (c *Client) SyncRoom(ctx context.Context, room string, o ActionOptions) (SyncAnswer, error) {
	if room == "" {
		return SyncAnswer{}, errors.New("name the room to sync: its name is empty")
	}
	return act[SyncAnswer](ctx, c, action{Action: "sync", Room: room}, o)
}

// Cleanup removes what syncs leave behind, and returns when that is done.
func (c *Client) Cleanup(ctx context.Context, o ActionOptions) (CleanupAnswer, error) {
	return act[CleanupAnswer](ctx, c, action{Action: "cleanup"}, o)
}

// FullSync runs a new sync cycle and then a cleanup.
func (c *Client) FullSync(ctx context.Context, o ActionOptions) (FullSyncAnswer, error) {
	return act[FullSyncAnswer](ctx, c, action{Action: "full-sync"}, o)
}

// StartService switches the cluster's schedule on, durably.
func (c *Client) StartService(ctx context.Context) (ServiceAnswer, error) {
	return act[ServiceAnswer](ctx, c, action{Action: "start-service"}, ActionOptions{})
}

// StopService switches the cluster's schedule off, durably: a running cycle ends; webhooks and requested actions continue.
func (c *Client) StopService(ctx context.Context) (ServiceAnswer, error) {
	return act[ServiceAnswer](ctx, c, action{Action: "stop-service"}, ActionOptions{})
}

// acted is the answer to an action.
type acted interface{ action() string }

func (a SyncAnswer) action() string     { return a.Action }
func (a CleanupAnswer) action() string  { return a.Action }
func (a FullSyncAnswer) action() string { return a.Action }
func (a ServiceAnswer) action() string  { return a.Action }

func act[A acted](ctx context.Context, c *Client, in action, o ActionOptions) (A, error) {
	in.DryRun, in.Force = o.DryRun, o.Force
	return done[A](ctx, c, syncPath, in.Action, in)
}

// done sends an action. An answer that does not say that this action was done is not a node's.
func done[A acted](ctx context.Context, c *Client, path, action string, in any) (A, error) {
	answer, err := send[A](ctx, c, http.MethodPost, path, in)
	if err == nil && answer.action() != action {
		var none A
		return none, ErrNotRollcall
	}
	return answer, err
}
