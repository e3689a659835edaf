package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/reconcile"
)

// ownerless is an ownership that names no owner, for one reason.
type ownerless struct {
	actors.Ownership
	why error
}

func (o ownerless) View() context.Context { return context.Background() }

func (o ownerless) Owner(string) (actors.Place, error) {
	return actors.Place{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, o.why)
}

// TestDeliveriesNameTheCluster checks that the API learns whether a webhook fails because of the other nodes.
func TestDeliveriesNameTheCluster(t *testing.T) {
	t.Parallel()
	for why, want := range map[error]bool{
		cluster.ErrOutOfContact:                    true,
		cluster.ErrNotJoined:                       true,
		cluster.ErrSeveralClusters:                 true,
		cluster.ErrUnreached:                       true,
		errors.New("redis: the leader is in here"): false,
	} {
		err := deliverer{actors.NewRouter(ownerless{why: why}, nil)}.Deliver(t.Context(), reconcile.Event{})
		if !errors.Is(err, httpapi.ErrUnavailable) || errors.Is(err, httpapi.ErrCluster) != want {
			t.Errorf("%v: %v, and because of the cluster %v, want %v", why, err, !want, want)
		}
	}
}
