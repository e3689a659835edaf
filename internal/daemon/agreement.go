package daemon

import (
	"cmp"
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/rollcallhq/rollcall/internal/config"
)

// mustAgree returns the required settings: two nodes that differ in one of them would write different keys for the same
// room.
func mustAgree(c config.Config) map[string]string {
	return map[string]string{"--redis-hash-tags": strconv.FormatBool(c.RedisHashTags), "--redis-prefix": c.RedisPrefix}
}

// shouldAgree returns the advisory settings, which determine what is written and where it comes from. They may differ while
// an operator changes them node by node, or if one host has two names.
func shouldAgree(c config.Config) map[string]string {
	return map[string]string{"--redis-url": c.Redis.String(), "--livekit-host": c.LiveKit.Host, "--livekit-api-key": c.LiveKit.APIKey,
		"--count-kinds": strings.Join(c.CountKinds, ","), "--change-feed": strconv.FormatBool(c.ChangeFeed),
		"--livekit-lag": config.FormatDuration(c.LiveKitLag)}
}

// httpAddr returns the HTTP address that others dial. If the listener is on all interfaces, the host is that of the node
// port.
func (n *Daemon) httpAddr() string {
	bound := n.listener.Addr().String()
	host, port, err := net.SplitHostPort(bound)
	if n.config.HTTPAdvertise != "" || err != nil || !config.EveryInterface(host) {
		return cmp.Or(n.config.HTTPAdvertise, bound)
	}
	node, _, err := net.SplitHostPort(cmp.Or(n.config.NodeAdvertise, n.config.NodeAddr))
	if err != nil || node == "" {
		return bound
	}
	return net.JoinHostPort(node, port)
}

// shareBudget divides what LiveKit allows among the members.
func (n *Daemon) shareBudget(ctx context.Context) {
	for ctx.Err() == nil {
		view := n.node.Ownership.View()
		n.livekit.Share(len(n.node.Ownership.Members()))
		select {
		case <-view.Done():
		case <-ctx.Done():
		}
	}
}
