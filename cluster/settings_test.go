package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// logged is a log that a test reads while nodes write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func TestNodesThatDifferAreRefusedOrTold(t *testing.T) {
	t.Parallel()
	var logs [4]logged
	s := newSeveral(t, 3, 1, func(i int, c *Config) {
		c.Required, c.Advisory = map[string]string{"--redis-hash-tags": "false"}, map[string]string{"--count-kinds": "STANDARD", "--new": "1"}
		c.Logger = slog.New(slog.NewTextHandler(&logs[i], nil))
		switch i {
		case 2:
			c.Advisory = map[string]string{"--count-kinds": "SIP"}
		case 3:
			c.Required = map[string]string{"--redis-hash-tags": "true"}
		}
	})
	s.start(1)
	s.ready(1)
	s.start(2, 3)
	s.ready(2)
	eventually.True(t, "both tell", func() bool {
		return logs[1].has("setting=--count-kinds peer=n2 theirs=SIP ours=STANDARD") &&
			logs[2].has("setting=--count-kinds peer=n1 theirs=STANDARD ours=SIP")
	})
	// After a reload of the leader, its new value counts.
	s.nodes[1].SetAdvisory(map[string]string{"--count-kinds": "INGRESS"})
	s.stop(2)
	s.start(2)
	eventually.True(t, "both tell of the new value", func() bool {
		return logs[1].has("peer=n2 theirs=SIP ours=INGRESS") && logs[2].has("peer=n1 theirs=INGRESS ours=SIP")
	})
	if logs[1].has("--new") || logs[2].has("--new") {
		t.Error("a setting that only one build knows was told of")
	}
	s.waitsFor(3, `node "n3" has --redis-hash-tags true, and the leader "n1" has false`)
	if servers := s.nodes[1].Status().Servers; len(servers) != 2 {
		t.Errorf("raft has the refused node: %v", servers)
	}
}
