package main

import (
	"log/slog"
	"time"
)

// defaultHTTPAddr is where a node listens that is told of no other place.
const defaultHTTPAddr = ":8080"

// Config is a node's whole configuration, checked: load returns no other. It
// may be printed, logged and marshalled; its secrets hide themselves.
type Config struct {
	// NodeID is the configured name of the node, or empty: see nodeID.
	NodeID string

	// The listen addresses, host:port; an empty host is all interfaces.
	// NodeAddr is empty for a node that is alone: it opens no port for others.
	HTTPAddr, NodeAddr string
	// What others dial, host:port; empty means the address that was bound.
	HTTPAdvertise, NodeAdvertise string

	// DataDir holds raft's log and the node's name.
	DataDir string
	// BootstrapExpect is how many nodes found a new cluster together, 1 to 5.
	BootstrapExpect int
	// Join lists node addresses, host:port, of which any may answer.
	Join []string
	// DeadAfter is how long a voter may be silent before it is removed.
	DeadAfter time.Duration
	// DrainDelay is how long a node goes on serving after /readyz has said 503.
	DrainDelay time.Duration

	SyncInterval, CleanupInterval, StaleAfter time.Duration
	// LiveKitLag is how far LiveKit's API may lag behind its webhooks; 0 trusts it at once.
	LiveKitLag time.Duration

	LiveKit LiveKitConfig

	Redis RedisTarget
	// RedisTLS are files for a Redis with TLS; any may be empty.
	RedisTLS RedisTLS
	// RedisHashTags is true when the names in keys stand in literal braces.
	RedisHashTags bool
	// CountKinds are the participant kinds that count as present, upper case.
	CountKinds []string
	// ChangeFeed says whether commits append to the stream of changes, and
	// ChangeFeedMax about how many entries that stream keeps.
	ChangeFeed    bool
	ChangeFeedMax int64
	// Timeline says whether commits keep their room's last changes for people to look at.
	Timeline bool

	AdminToken Secret
	// MetricsPublic opens /metrics to callers without a token.
	MetricsPublic bool
	// CORSOrigins are origins of other sites whose pages may call the API.
	CORSOrigins []string

	// PeerTLS protects the node port; all three files or none.
	PeerTLS PeerTLS
	// Insecure allows nodes to talk without TLS off loopback.
	Insecure bool
	// HTTPTLS protects the public listener; both files or none.
	HTTPTLS HTTPTLS

	LogLevel slog.Level
	// LogFormat is "text" or "json".
	LogFormat string
}

// LiveKitConfig is how to reach LiveKit and whose webhooks to believe.
type LiveKitConfig struct {
	// Host is the base URL, http or https, without a trailing slash. In dev it
	// may be empty: then key and secret are empty too.
	Host      string
	APIKey    string
	APISecret Secret
	// Keys are further key/secret pairs that may sign webhooks.
	Keys map[string]Secret
	// Concurrency bounds the requests in flight.
	Concurrency int
	// Rate bounds the requests per second; 0 is no bound.
	Rate float64
}

// WebhookKeys returns every key that may sign a webhook, with its secret.
func (l LiveKitConfig) WebhookKeys() map[string]Secret {
	all := make(map[string]Secret, len(l.Keys)+1)
	for key, secret := range l.Keys {
		all[key] = secret
	}
	if l.APIKey != "" {
		all[l.APIKey] = l.APISecret
	}
	return all
}

// needsNoPort says that no other setting than --node-addr speaks of other nodes.
func (c *Config) needsNoPort() bool {
	return c.BootstrapExpect <= 1 && len(c.Join) == 0 && c.NodeAdvertise == ""
}

// alone says that nothing in the configuration speaks of other nodes.
func (c *Config) alone() bool { return c.needsNoPort() && c.NodeAddr == "" }
