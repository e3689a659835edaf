//go:build nextversion

package cluster

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/wait"
)

// useLaterFormats commits a command that an older build does not know as soon as it may, if the data directory has the file "use-later".
func (n *Node) useLaterFormats(ctx context.Context) {
	for wait.For(ctx, 200*time.Millisecond) == nil && n.fsm.State().Format < fsm.Format {
		if _, err := os.Stat(filepath.Join(n.cfg.DataDir, "use-later")); err != nil {
			continue
		}
		if _, err := n.Apply(ctx, fsm.Later{Text: "hello"}); err != nil {
			n.log.Info("the later format is not used yet", "error", err)
			continue
		}
		n.log.Info("the later format is in use")
	}
}
