package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
)

// A node that does not understand an entry cannot apply any later one. As the leader it would keep the cluster from having a working leader.
func TestANodeThatIsTooOldEnds(t *testing.T) {
	t.Parallel()
	n, err := Open(t.Context(), config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) }) // it cannot commit its leave, because it is alone in the view
	if err := n.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = n.raft.Apply([]byte(`{"v":99,"op":"later","args":{}}`), time.Second)
	select {
	case err := <-n.Failure():
		if !errors.Is(err, fsm.ErrNewer) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}
