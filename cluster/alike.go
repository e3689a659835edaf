package cluster

import (
	"fmt"
	"slices"
)

// differing are the settings of which both tell another value, sorted. A build that does not tell of one does not differ.
func differing(ours, theirs map[string]string) (names []string) {
	for name, value := range ours {
		if other, ok := theirs[name]; ok && other != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sameSettings is an error for a joiner that must not work beside this node, which leads; what only should be alike is
// told in the log.
func (n *Node) sameSettings(j joining) error {
	for _, name := range differing(n.cfg.Same, j.Same) {
		return fmt.Errorf("node %q has %s %s, and the leader %q has %s: stop it and give the same to all nodes",
			j.ID, name, j.Same[name], n.cfg.NodeID, n.cfg.Same[name])
	}
	if j.Incarnation == 0 {
		n.tellDiffering(j.ID, j.Alike)
	}
	return nil
}

func (n *Node) tellDiffering(peer string, theirs map[string]string) {
	for _, name := range differing(n.cfg.Alike, theirs) {
		n.log.Warn("two nodes differ in a setting that all should have the same value of: check both", "setting", name,
			"peer", peer, "theirs", theirs[name], "ours", n.cfg.Alike[name])
	}
}
