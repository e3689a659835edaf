// Package sim runs nodes over a fake store and a fake LiveKit in virtual time, and injects faults that a seed determines. Some
// checks hold at every moment: the order of each room's writes, claims by owners only, the change feed's chain, no 200 without
// its script, no work for a leader that is known to be deposed. Others hold after the last fault has healed and the promised
// number of sync cycles has completed: Redis equals LiveKit, and stays equal.
//
// One simulation runs a single node whose leadership is scripted. The other runs three to five complete nodes and one that joins
// and leaves: cluster.Node and internal/rpc as they ship, over testing/fakes/memnet (raft's own transport, the nodes' HTTP, bootstrap
// and joins, requests between nodes), with raft's data on disk or, in some seeds, lost at each restart. Redis is
// testing/fakes/memstore.
//
// At the end, when the faults are over, webhooks that come in order must suffice: Redis equals LiveKit at once, without a sync.
// This also holds after the rooms have moved to another owner, which must have claimed them all by then.
//
// Some seeds add more, by their dice: more than 1,000 rooms; a Redis of several shards, of which one hangs or is set back alone;
// phases of a slow or flaky Redis; LiveKit behind the real client, with unreadable entries, a low request budget and answers of
// 429; and one or all nodes that come back with older data or another address. Each seed reports what it had, and the run reports
// how often each kind occurred. A kind that the fixed seeds never have fails the test.
//
// The seed determines the world's history, the faults' order and lengths, and every call's own faults. Raft's elections draw from
// their own random source, and goroutines that are ready at the same instant run in the scheduler's order. A replay of a seed is
// therefore close to the original for the single node; for several nodes it has the same history but is not the same run. A
// failure that does not recur at once may recur after some repetitions.
package sim
