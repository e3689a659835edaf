package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
)

// current is what a reload changes of a running daemon.
type current struct {
	mu     sync.Mutex
	config config.Config
	read   func() (config.Loaded, error) // nil if there is nothing to read again
	level  *slog.LevelVar
	ended  bool

	keys atomic.Pointer[signingKeys]
}

// signingKeys check the tokens of LiveKit's keys.
type signingKeys struct {
	verifier *livekit.Verifier
	tokens   *livekit.Tokens
}

func newSigningKeys(l config.LiveKit) (*signingKeys, error) {
	verifier, err := livekit.NewVerifier(l.SigningKeys())
	if err != nil {
		return nil, fmt.Errorf("--livekit-keys, LIVEKIT_KEYS: %w", err)
	}
	tokens, err := livekit.NewTokens(map[string]string{l.APIKey: l.APISecret.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("--livekit-api-key, LIVEKIT_API_KEY: %w", err)
	}
	return &signingKeys{verifier, tokens}, nil
}

// end returns the configuration with which the daemon stops. No reload changes it any more.
func (c *current) end() config.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.config
}

// Reloadable makes Reload read the configuration with read, and set the log's level. Before that call, reloads are refused.
func (n *Daemon) Reloadable(read func() (config.Loaded, error), level *slog.LevelVar) {
	n.current.mu.Lock()
	defer n.current.mu.Unlock()
	n.current.read, n.current.level = read, level
}

var errNotReloadable = errors.New("this node cannot read its configuration again now: it starts or stops, or `rollcall dev` runs it")

// Reload reads the configuration again, and applies those of its settings that a running node can take. It returns their names, and
// the names of the settings that differ from the running ones and need a restart. A configuration that is wrong changes nothing. What
// happened is logged.
func (n *Daemon) Reload() (changed, needRestart []string, err error) {
	n.current.mu.Lock()
	defer n.current.mu.Unlock()
	if n.current.read == nil || n.current.ended {
		return nil, nil, errNotReloadable
	}
	next, err := n.current.read()
	if err == nil {
		changed, needRestart, err = n.apply(next.Config)
	}
	if err != nil {
		n.log.Error("the configuration was read again and is wrong: nothing has changed", "error", err)
		return nil, nil, err
	}
	for _, line := range next.Warnings {
		n.log.Warn(line)
	}
	return changed, needRestart, nil
}

// apply changes what can be changed. Everything that can fail comes first.
func (n *Daemon) apply(next config.Config) (changed, needRestart []string, err error) {
	c, changed, needRestart := config.Reload(n.current.config, next)
	keys, err := newSigningKeys(c.LiveKit)
	if err != nil {
		return nil, nil, err
	}
	if peers, ok := n.clientTLS.(*secretPeer); ok {
		between, err := newPeerKeys(c.LiveKit)
		if err != nil {
			return nil, nil, err
		}
		peers.keys.Store(between)
	}
	n.current.keys.Store(keys)
	n.livekit.SetKey(c.LiveKit.APIKey, c.LiveKit.APISecret.Reveal())
	n.livekit.SetRate(c.LiveKit.Rate)
	n.http.SetAccess(c.AdminToken.Reveal(), c.CORSOrigins)
	n.node.SetIntervals(c.SyncInterval, c.CleanupInterval, c.StaleAfter)
	n.node.Cluster.SetAdvisory(shouldAgree(c))
	n.metrics.configured(c)
	n.current.level.Set(min(n.current.config.LogLevel, c.LogLevel)) // the more talkative of both, for the next lines
	n.log.Info("the configuration has been read again", "changed", changed)
	if len(needRestart) > 0 {
		n.log.Warn("some settings differ from the running ones, and only a restart changes them", "settings", needRestart)
	}
	n.current.level.Set(c.LogLevel)
	n.current.config = c
	return changed, needRestart, nil
}

// reloader reloads for the API.
type reloader struct{ daemon *Daemon }

// Reload implements httpapi.Reloader.
func (r reloader) Reload(context.Context) (httpapi.Reloaded, error) {
	changed, needRestart, err := r.daemon.Reload()
	if err != nil {
		return httpapi.Reloaded{}, httpapi.Refused{Reason: "nothing has changed: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return httpapi.Reloaded{Node: r.daemon.node.Cluster.ID(), Changed: append([]string{}, changed...), NeedRestart: append([]string{}, needRestart...)}, nil
}

// AdminToken implements httpapi.Reloader.
func (r reloader) AdminToken() string {
	c := &r.daemon.current
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read == nil || c.config.SecretFiles.AdminToken == "" {
		return ""
	}
	token, err := config.ReadSecret(c.config.SecretFiles.AdminToken)
	if err != nil {
		return "" // the reload itself would say why
	}
	return token
}
