// Package chaos breaks a cluster of containers on purpose, under traffic whose every join and leave is recorded, and judges what
// Redis held during the faults and holds in the end. See README.md for how to run it and what it has found.
//
// A run is one World, a few Nemeses in an order that the seed determines, and a Report. The fault of a nemesis is repaired before
// the next begins. Each violation names the invariant of docs/guarantees.md that it breaks. Nothing that a run made (containers,
// networks, volumes, images, mounts, rules of iptables) outlives it, also when it fails or is interrupted.
package chaos
