// Package e2e tests rollcall from outside: the real binary between a real redis-server and a real livekit-server, with real
// participants. What it asserts is read from Redis, from LiveKit's API or from rollcall's HTTP API, never from the code under
// test.
//
// The following is checked in every world, whatever its scenario. A room's two keys appear, agree and disappear together. Redis
// lets rollcall only write to rooms:* and read matching:* (an ACL), and the application's keys stay the same byte for byte. The
// change feed folds to the keys. No secret is in Redis, in rollcall's debug log or in an answer. With make check-long the nodes have the race detector, which is silent.
// SIGTERM ends the process with code 0.
package e2e
