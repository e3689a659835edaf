package cluster

import (
	"context"
	"fmt"

	"github.com/rollcallhq/rollcall/fsm"
)

// allRead returns nil if every server in raft's configuration says that its build reads log entries of that format. A node that is away has to
// be back first, or be removed: it would meet the entries when it returns.
func (n *Node) allRead(ctx context.Context, format int) error {
	servers := n.raft.GetConfiguration()
	if err := servers.Error(); err != nil {
		return err
	}
	var errs []error
	for _, s := range servers.Configuration().Servers {
		if string(s.ID) == n.cfg.NodeID {
			continue
		}
		h, err := n.ask(ctx, string(n.addressNow(s)))
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%w: whether node %q reads format %d of the log is not known: start it, or remove it: %w", ErrOlderBuild, s.ID, format, err))
		case h.ID != string(s.ID):
			errs = append(errs, fmt.Errorf("%w: %q answers instead of node %q: start that one, or remove it", ErrOlderBuild, h.ID, s.ID))
		case max(h.Format, fsm.FirstFormat) < format:
			errs = append(errs, fmt.Errorf("%w: node %q does not read format %d of the log: upgrade it first", ErrOlderBuild, s.ID, format))
		}
	}
	return also(errs...)
}

// tooOld returns an error if the log may have entries that the build of a node does not read: reads and used are formats, 0 for the first one.
func tooOld(id string, reads, used int) error {
	if used <= max(reads, fsm.FirstFormat) {
		return nil
	}
	return fmt.Errorf("%w: node %q reads format %d of the log, and this cluster uses format %d: start the version that the other nodes run",
		ErrOlderBuild, id, max(reads, fsm.FirstFormat), used)
}
