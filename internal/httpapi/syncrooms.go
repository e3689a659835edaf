package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// maxActionBytes is the largest body of POST /api/sync-rooms.
const maxActionBytes = 64 << 10

const invalidAction = "Invalid action. Use: sync, cleanup, full-sync, start-service, or stop-service"

type actionRequest struct {
	Action string `json:"action"`
	DryRun bool   `json:"dryRun"`
	Force  bool   `json:"force"`
}

// actionAnswer has of each action what the contract gives it; held only where the breaker holds, wouldChange in dry runs.
type actionAnswer struct {
	Action      string         `json:"action"`
	Result      *Result        `json:"result,omitempty"`
	Sync        *Result        `json:"sync,omitempty"`
	Cleaned     *int           `json:"cleaned,omitempty"`
	Cleanup     *int           `json:"cleanup,omitempty"`
	Running     *bool          `json:"running,omitempty"`
	Held        *Held          `json:"held,omitempty"`
	WouldChange *[]WouldChange `json:"wouldChange,omitempty"`
	FirstError  string         `json:"firstError,omitempty"`
	Timestamp   string         `json:"timestamp"`
}

// status answers GET /api/sync-rooms.
func (a *api) status(c *call) (any, error) {
	s, err := a.ports.Admin.Status(c.r.Context())
	if err != nil {
		return nil, err
	}
	return tellStatus(s, c.at), nil
}

// act answers POST /api/sync-rooms. It takes as long as the action does, minutes perhaps.
func (a *api) act(c *call) (any, error) {
	req, err := readAction(c)
	if err != nil {
		return nil, err
	}
	run, err := a.plan(req)
	if err != nil {
		return nil, err
	}
	isSwitch := req.Action == "start-service" || req.Action == "stop-service"
	return a.actions.do(c.r.Context(), isSwitch, func(ctx context.Context) (any, error) {
		answer := actionAnswer{Action: req.Action}
		if err := run(ctx, &answer); err != nil {
			return nil, err
		}
		answer.Timestamp = stamp(time.Now())
		return answer, nil
	})
}

func readAction(c *call) (actionRequest, error) {
	var req actionRequest
	body, err := c.readSmall(maxActionBytes)
	if err != nil {
		return req, err
	}
	err = json.Unmarshal(body, &req)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "action":
		return req, refuse(http.StatusBadRequest, invalidAction)
	case errors.As(err, &wrong) && wrong.Field != "":
		return req, refuse(http.StatusBadRequest, `"dryRun" and "force" must be true or false`)
	case err != nil:
		return req, refuse(http.StatusBadRequest, `The body must be a JSON object such as {"action":"sync"}`)
	}
	return req, nil
}

// plan gives what does the action and fills in its answer.
func (a *api) plan(req actionRequest) (func(context.Context, *actionAnswer) error, error) {
	o := Options{DryRun: req.DryRun, Force: req.Force}
	switch req.Action {
	case "sync":
		return func(ctx context.Context, to *actionAnswer) error { return a.sync(ctx, o, to) }, nil
	case "cleanup":
		return func(ctx context.Context, to *actionAnswer) error { return a.cleanup(ctx, o, to) }, nil
	case "full-sync":
		return func(ctx context.Context, to *actionAnswer) error { return a.fullSync(ctx, o, to) }, nil
	case "start-service", "stop-service":
		if o != (Options{}) {
			return nil, refuse(http.StatusBadRequest, `"dryRun" and "force" go with sync, cleanup and full-sync only`)
		}
		return func(ctx context.Context, to *actionAnswer) error {
			running, err := a.ports.Admin.SetService(ctx, req.Action == "start-service")
			to.Running = &running
			return err
		}, nil
	}
	return nil, refuse(http.StatusBadRequest, invalidAction)
}

func (a *api) sync(ctx context.Context, o Options, to *actionAnswer) error {
	out, err := a.ports.Admin.Sync(ctx, o)
	to.Result = &out.Result
	to.tell(o, out)
	return err
}

func (a *api) cleanup(ctx context.Context, o Options, to *actionAnswer) error {
	out, err := a.ports.Admin.Cleanup(ctx, o)
	to.Cleaned = &out.Result.Cleaned
	to.tell(o, out)
	return err
}

func (a *api) fullSync(ctx context.Context, o Options, to *actionAnswer) error {
	synced, cleaned, err := a.ports.Admin.FullSync(ctx, o)
	to.Sync, to.Cleanup = &synced.Result, &cleaned.Result.Cleaned
	to.tell(o, synced)
	to.tell(o, cleaned)
	return err
}

// tell adds what an outcome has beside its counts.
func (to *actionAnswer) tell(o Options, out Outcome) {
	if out.Held != (Held{}) {
		if to.Held == nil {
			to.Held = &Held{}
		}
		to.Held.Rooms = max(to.Held.Rooms, out.Held.Rooms) // a cleanup holds what the sync before it held
		to.Held.Participants = max(to.Held.Participants, out.Held.Participants)
		to.Held.Cycles = max(to.Held.Cycles, out.Held.Cycles)
	}
	if to.FirstError == "" {
		to.FirstError = out.FirstError
	}
	if o.DryRun {
		if to.WouldChange == nil {
			to.WouldChange = &[]WouldChange{}
		}
		*to.WouldChange = append(*to.WouldChange, out.WouldChange...)
	}
}
