// Package httpapi serves HTTP: LiveKit's webhooks, reads, operators' actions, probes and metrics, in the shapes and with the
// statuses of docs/api.md.
//
// It promises that 200 to a webhook follows a delivery that returned nil; that a failure which a later attempt may overcome
// is answered with a status that LiveKit retries; that memory and time spent on unauthenticated callers are limited; that
// answers and metrics contain no text of an error from a lower layer; that nothing contains a body, a token or a secret; and
// that a panic costs one request.
//
// It declares what it needs as ports (ports.go) and imports no store, no cluster and no LiveKit client.
package httpapi
