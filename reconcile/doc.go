// Package reconcile decides what a room's record becomes. It is pure: the same room, input and moment give the same
// plan; it reads no clock, does no IO, logs nothing and imports only the standard library. The shell (package actors)
// performs the plan and tells the room of it by Adopt.
//
// The rules are those of docs/protocol.md: events and polls are merged participant by participant, order comes from
// LiveKit's own time stamps, and whatever removes on silence or contradicts what is known needs two looks that agree.
package reconcile
