package main

import "syscall"

// connectionLimits are how many connections a process that may have so many file descriptors takes on its two listeners. Three quarters are
// HTTP's and an eighth is the node port's; the rest is for Redis, LiveKit, the connections to other nodes, raft's files and
// certificates. Each other node takes up to some 30 connections of the node port, so it has 64 at the least. The upper bounds keep the memory of connections that send their headers slowly below 300 MB.
func connectionLimits(descriptors uint64) (http, nodes int) {
	const mostHTTP, mostNodes = 4096, 1024
	http = int(min(descriptors/4*3, mostHTTP))
	nodes = int(min(descriptors/8, mostNodes))
	return max(http, 8), max(nodes, 64)
}

// descriptors is how many file descriptors this process may have; 1,024 where the system does not say.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}
