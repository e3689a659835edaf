package daemon

import "syscall"

// connectionLimits returns how many connections a process with so many file descriptors accepts on its two listeners. Three
// quarters are for HTTP and an eighth is for the node port. The rest is for Redis, LiveKit, the connections to other nodes,
// raft's files and certificates. Each other node takes up to some 30 connections of the node port, so it has at least 64.
// The upper limits keep the memory of connections that send their headers slowly below 300 MB.
func connectionLimits(descriptors uint64) (http, nodes int) {
	const mostHTTP, mostNodes = 4096, 1024
	http = int(min(descriptors/4*3, mostHTTP))
	nodes = int(min(descriptors/8, mostNodes))
	return max(http, 8), max(nodes, 64)
}

// descriptors returns how many file descriptors this process may have, or 1,024 if the system does not say.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}
