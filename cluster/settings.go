package cluster

import (
	"fmt"
	"slices"
)

// differing returns the names of the settings for which both nodes have a value and the values differ, sorted. A setting that one build does
// not know does not differ.
func differing(ours, theirs map[string]string) (names []string) {
	for name, value := range ours {
		if other, ok := theirs[name]; ok && other != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkRequired returns an error if a joiner's required settings differ from those of this node, which leads. It logs differing advisory
// settings.
func (n *Node) checkRequired(j joining) error {
	for _, name := range differing(n.cfg.Required, j.Required) {
		return fmt.Errorf("node %q has %s %s, and the leader %q has %s: stop it and give the same to all nodes",
			j.ID, name, j.Required[name], n.cfg.NodeID, n.cfg.Required[name])
	}
	if j.Incarnation == 0 {
		n.warnOfAdvisory(j.ID, j.Advisory)
	}
	return nil
}

// SetAdvisory replaces the advisory settings of the node's Config, after a reload. The next join compares them.
func (n *Node) SetAdvisory(settings map[string]string) { n.advisory.Store(&settings) }

// Advisory returns the advisory settings that this node names to others.
func (n *Node) Advisory() map[string]string { return *n.advisory.Load() }

func (n *Node) warnOfAdvisory(peer string, theirs map[string]string) {
	ours := n.Advisory()
	for _, name := range differing(ours, theirs) {
		n.log.Warn("two nodes differ in a setting that all should have the same value of: check both", "setting", name,
			"peer", peer, "theirs", theirs[name], "ours", ours[name])
	}
}
