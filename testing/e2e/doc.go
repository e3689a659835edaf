// Package e2e tests rollcall from outside: the real binary between a real redis-server and a real livekit-server, with real
// participants. It promises that what it asserts was read from Redis, from LiveKit's API or from rollcall's HTTP, and never from
// the code under test.
//
// Every world also has these checked, whatever its scenario: a room's two keys appear, agree and go together; Redis lets
// rollcall write to rooms:* and read matching:* only (an ACL), and the application's keys stay byte for byte; the change feed
// folds to the keys; no secret is in Redis, in rollcall's debug log or in an answer; the race detector is silent; SIGTERM ends
// the process with code 0.
package e2e
