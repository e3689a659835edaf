package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// maxActionBytes is the largest body of POST /api/sync-rooms.
const maxActionBytes = 64 << 10

const invalidAction = "Invalid action. Use: sync, cleanup, full-sync, start-service, or stop-service"

type actionRequest struct {
	action        string
	dryRun, force bool
	room          string // empty for all rooms
}

// actionAnswer is the answer to an action, with the fields of docs/api.md: held only if the breaker holds, wouldChange in
// dry runs, found if one room was compared.
type actionAnswer struct {
	Action      string                  `json:"action"`
	Room        string                  `json:"room,omitempty"`
	Found       *bool                   `json:"found,omitempty"`
	Result      *counts                 `json:"result,omitempty"`
	Sync        *counts                 `json:"sync,omitempty"`
	Cleaned     *int                    `json:"cleaned,omitempty"`
	Cleanup     *int                    `json:"cleanup,omitempty"`
	Running     *bool                   `json:"running,omitempty"`
	Held        *reconcile.Held         `json:"held,omitempty"`
	WouldChange *[]reconcile.Difference `json:"wouldChange,omitempty"`
	FirstError  string                  `json:"firstError,omitempty"`
	Fault       reconcile.Fault         `json:"fault,omitempty"`
	RedisEmpty  bool                    `json:"redisEmpty,omitempty"`
	Timestamp   string                  `json:"timestamp"`
}

// status answers GET /api/sync-rooms.
func (a *api) status(c *call) (any, error) {
	s, err := a.ports.Admin.Status(c.r.Context())
	if err != nil {
		return nil, err
	}
	answer := asStatusAnswer(s, a.ports.Health.Redis(), c.at)
	answer.MayAct = c.who.rank == actsAsWell
	return answer, nil
}

// act answers POST /api/sync-rooms. It takes as long as the action does, perhaps minutes.
func (a *api) act(c *call) (any, error) {
	req, err := readAction(c)
	c.audit.name(req)
	if err != nil {
		return nil, err
	}
	run, err := a.plan(req)
	if err != nil {
		return nil, err
	}
	isSwitch := req.action == "start-service" || req.action == "stop-service"
	return a.actions.do(c.r.Context(), isSwitch, c.audit, func(ctx context.Context) (any, error) {
		answer := actionAnswer{Action: req.action, Room: req.room}
		if err := run(ctx, &answer); err != nil {
			return nil, err
		}
		answer.Timestamp = stamp(time.Now())
		return answer, nil
	})
}

func readAction(c *call) (req actionRequest, err error) {
	const example, flags = `{"action":"sync"}`, `"dryRun" and "force" must be true or false`
	err = c.readObject(example, map[string]field{"action": {&req.action, invalidAction}, "dryRun": {&req.dryRun, flags}, "force": {&req.force, flags},
		"room": {(*roomName)(&req.room), `"room" must be the name of a room`}})
	return req, err
}

// roomName is a room's name in a body. It is not empty: a script whose variable is empty must not sync every room.
type roomName string

// UnmarshalJSON implements json.Unmarshaler.
func (n *roomName) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*string)(n)); err != nil {
		return err
	}
	if *n == "" {
		return errors.New("a room's name is not empty")
	}
	return nil
}

// field is a field that a body may have: where its value goes, and what to answer if it is of another type.
type field struct {
	to        any
	otherwise string
}

// readObject reads a body that is a JSON object with no other fields than these. A field must have its exact name and must not be null:
// whoever misspells "dryRun" must not get a real run.
func (c *call) readObject(example string, fields map[string]field) error {
	body, err := c.readSmall(maxActionBytes)
	if err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(body, &given) != nil {
		return refuse(http.StatusBadRequest, "The body must be a JSON object such as "+example)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		f, known := fields[name]
		switch {
		case !known:
			return refuse(http.StatusBadRequest, fmt.Sprintf("Unknown field %.40q. Use: %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", ")))
		case string(given[name]) == "null" || json.Unmarshal(given[name], f.to) != nil:
			return refuse(http.StatusBadRequest, f.otherwise)
		}
	}
	return nil
}

// plan returns the function that does the action and fills in its answer.
func (a *api) plan(req actionRequest) (run func(context.Context, *actionAnswer) error, err error) {
	o := reconcile.Options{DryRun: req.dryRun, Force: req.force, Room: req.room}
	switch req.action {
	case "sync":
		return func(ctx context.Context, to *actionAnswer) error { return a.sync(ctx, o, to) }, nil
	case "cleanup":
		run = func(ctx context.Context, to *actionAnswer) error { return a.cleanup(ctx, o, to) }
	case "full-sync":
		run = func(ctx context.Context, to *actionAnswer) error { return a.fullSync(ctx, o, to) }
	case "start-service", "stop-service":
		if o.DryRun || o.Force {
			return nil, refuse(http.StatusBadRequest, `"dryRun" and "force" go with sync, cleanup and full-sync only`)
		}
		run = func(ctx context.Context, to *actionAnswer) error {
			running, err := a.ports.Admin.SetService(ctx, req.action == "start-service")
			to.Running = &running
			return err
		}
	default:
		return nil, refuse(http.StatusBadRequest, invalidAction)
	}
	if req.room != "" {
		return nil, refuse(http.StatusBadRequest, `"room" goes with sync only`)
	}
	return run, nil
}

func (a *api) sync(ctx context.Context, o reconcile.Options, to *actionAnswer) error {
	report, err := a.ports.Admin.Sync(ctx, o)
	result := countsOf(report)
	to.Result = &result
	if o.Room != "" && report.Synced > 0 && err == nil {
		found := !report.Absent()
		to.Found = &found
	}
	to.add(o, report)
	return err
}

func (a *api) cleanup(ctx context.Context, o reconcile.Options, to *actionAnswer) error {
	report, err := a.ports.Admin.Cleanup(ctx, o)
	to.Cleaned = &report.Cleaned
	to.add(o, report)
	return err
}

func (a *api) fullSync(ctx context.Context, o reconcile.Options, to *actionAnswer) error {
	synced, cleaned, err := a.ports.Admin.FullSync(ctx, o)
	result := countsOf(synced)
	to.Sync, to.Cleanup = &result, &cleaned.Cleaned
	to.add(o, synced)
	to.add(o, cleaned)
	return err
}

// add adds the fields of a report other than its counts.
func (to *actionAnswer) add(o reconcile.Options, r reconcile.Report) {
	if r.Held != nil {
		to.Held = cmp.Or(to.Held, &reconcile.Held{})
		to.Held.Rooms = max(to.Held.Rooms, r.Held.Rooms) // a cleanup holds what the sync before it held
		to.Held.Participants = max(to.Held.Participants, r.Held.Participants)
		to.Held.Cycles = max(to.Held.Cycles, r.Held.Cycles)
	}
	to.FirstError = cmp.Or(to.FirstError, r.Error)
	to.Fault, to.RedisEmpty = cmp.Or(to.Fault, r.Fault), to.RedisEmpty || r.RedisEmpty
	if o.DryRun {
		to.WouldChange = cmp.Or(to.WouldChange, &[]reconcile.Difference{})
		*to.WouldChange = append(*to.WouldChange, r.Differences...)
	}
}
