// Package freeaddr finds addresses for servers that tests start.
package freeaddr

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// ForTest is Find for a test.
func ForTest(t testing.TB, n int) []string {
	t.Helper()
	addrs, err := Find(n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// Find returns n free addresses of 127.0.0.1 whose ports are below those that the system assigns by itself, so that no other
// process takes them while their server is down. Nor does another call return them, in any process, before this one has ended: it
// keeps the UDP port of the same number. It returns an error if there are not enough.
func Find(n int) ([]string, error) {
	var addrs []string
	for range 100 * n {
		if len(addrs) == n {
			return addrs, nil
		}
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		if kept, err := net.ListenPacket("udp4", addr); err == nil {
			keep(kept)
			addrs = append(addrs, addr)
		}
	}
	return nil, fmt.Errorf("find %d free ports: all that were tried are taken", n)
}

var given struct {
	mu    sync.Mutex
	ports []net.PacketConn // referenced, because an unreferenced one is closed
}

func keep(port net.PacketConn) {
	given.mu.Lock()
	defer given.mu.Unlock()
	given.ports = append(given.ports, port)
}
