// Package chaos breaks a cluster of containers on purpose, under traffic whose every join and leave is written down, and judges
// what Redis held at the time and holds in the end. See README.md for how to run it and what it has found.
//
// Its promises: a run is one World, a few Nemeses in an order that the seed gives, and a Report; what a nemesis broke is mended
// before the next begins; each violation names the invariant of docs/guarantees.md that it breaks; and nothing that a run made
// (containers, networks, volumes, images, mounts, rules of iptables) outlives it, also when it fails or is interrupted.
package chaos
