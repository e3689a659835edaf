// Package sim runs a node's rooms, router and sweep over a fake store and a fake LiveKit in virtual time, and hurts them
// by a seed. It promises that what it checks holds at every moment (the order of each room's writes, the change feed's
// chain) or after the last fault has healed and the promised number of sync cycles has completed (Redis equals LiveKit).
//
// The seed gives the world's history and every call's faults; goroutines that are ready at one instant still run in the
// scheduler's order, so a replay of a seed is close, not exact.
package sim
