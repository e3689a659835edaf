// Package reconcile decides how an input changes a room's record. It is pure: the same room, input and moment give the
// same plan. It reads no clock, does no IO, logs nothing and imports only the standard library. The shell (package
// actors) carries out the plan and then applies it to the room with Adopt.
//
// The rules are in docs/protocol.md. Events and polls are merged participant by participant. LiveKit's own time stamps
// give the order. A removal because of an absence, and a change that contradicts what is known, need two looks that agree.
package reconcile
