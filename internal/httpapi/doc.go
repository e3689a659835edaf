// Package httpapi is rollcall's HTTP face: LiveKit's webhooks, the reads and the operator's actions, the probes and the
// metrics, in the shapes and statuses of CONTRACT.md.
//
// It promises that 200 to a webhook follows a delivery that returned nil; that whatever a later attempt may mend is
// answered with a status that LiveKit retries; that memory and time spent on callers who have not proved who they are
// stay bounded; that answers and metrics carry no text of an error from below, and nothing at all a body, a token or a
// secret; and that a panic costs one request.
//
// What it needs it declares as ports (ports.go); it knows no store, no cluster and no LiveKit client.
package httpapi
