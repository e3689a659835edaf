package clusterkit_test

import (
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// TestAHealthyStartWarnsOfNothing checks that three nodes that found a cluster and sync log nothing above info, and neither does
// one of them that starts again.
func TestAHealthyStartWarnsOfNothing(t *testing.T) {
	t.Parallel()
	c := start(t, clusterkit.Options{})
	var started strings.Builder
	for _, n := range c.Nodes {
		started.Write(n.Output())
	}
	again := c.Nodes[2]
	again.Terminate()
	again.Up()
	c.AwaitView("n1", "n2", "n3")
	started.Write(again.Output())
	lines := 0
	for line := range strings.Lines(started.String()) {
		lines++
		if !strings.Contains(line, "level=INFO") {
			t.Errorf("a node says %s", line)
		}
	}
	if lines < 10 {
		t.Errorf("only %d lines were logged", lines)
	}
}
