// Package livekit turns LiveKit into observations: a webhook into a verified reconcile.Event, the RoomService into room and participant lists,
// an access token into the grants of our API. It guarantees that nothing unverified gets through; that a failed, truncated, throttled or foreign
// answer is an error and never an empty list; and that no secret (turnPassword, API secret, raw body) leaves the package: results are built
// field by field, and errors quote neither bodies nor tokens.
//
// It uses the RoomService client generated in livekit/protocol, which is what server-sdk-go wraps, but not the wrapper. The wrapper (v2.18.1)
// takes no http.Client and no transport, so an empty 200 of any content type would decode as an empty list and the answer's size would be
// unbounded. It keeps two idle connections per host. With failover on (by default, for LiveKit Cloud) it asks up to three regions, restarts a
// deadline of 5 s or more for each, and spends requests that our budget does not see.
package livekit
