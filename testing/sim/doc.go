// Package sim runs nodes over a fake store and a fake LiveKit in virtual time, and hurts them by a seed. It promises that
// what it checks holds at every moment (the order of each room's writes, claims by owners only, the change feed's chain, no
// 200 without its script, no work for a leader that is known to be past) or after the last fault has healed and the promised
// number of sync cycles has completed (Redis equals LiveKit, and stays so).
//
// One simulation runs a single node whose leadership is scripted. The other runs three to five whole nodes and one that
// comes and goes: cluster.Node and internal/rpc as they ship, over testing/memnet (raft's own transport, the nodes' HTTP,
// founding and joining, requests between rooms), with raft's data on disk or, in some seeds, lost at each restart. Redis is
// testing/memstore.
//
// The seed gives the world's history, the faults' order and lengths and every call's own faults. Raft's elections draw from a
// source of their own, and goroutines that are ready at one instant run in the scheduler's order: a replay of a seed is close
// for the single node, and for several the same story rather than the same run. A failure that does not come back at once
// may after some repetitions.
package sim
