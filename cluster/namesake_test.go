package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// A second process with a node's name, or with a copy of its data, must not replace the first one: both would vote.
func TestASecondNodeOfANameIsRefused(t *testing.T) {
	t.Parallel()
	for _, copied := range []bool{false, true} {
		t.Run(fmt.Sprintf("copied=%v", copied), func(t *testing.T) {
			t.Parallel()
			s := newSeveral(t, 3, 3)
			s.start(1, 2, 3)
			s.ready(1, 2, 3)
			s.view("n1", "n2", "n3")
			i := s.follower()
			before := s.nodes[i].Status()
			second := s.configs[i]
			second.DataDir, second.NodeAddr = t.TempDir(), freeAddr(t)
			if copied {
				s.crash(i)
				if err := os.CopyFS(second.DataDir, os.DirFS(s.configs[i].DataDir)); err != nil {
					t.Fatal(err)
				}
				s.start(i)
				s.ready(i)
				s.view("n1", "n2", "n3")
				before = s.nodes[i].Status()
			}
			two := open(t, second)
			want := fmt.Sprintf("node %q runs at %s already", before.ID, before.NodeAddr)
			eventually.True(t, "the second is told", func() bool { return strings.Contains(errText(two.Ready()), want) })
			if now := s.nodes[i].Status(); now.Incarnation != before.Incarnation || s.nodes[i].Ready() != nil {
				t.Errorf("the first is %+v, %v", now, s.nodes[i].Ready())
			}
		})
	}
}
