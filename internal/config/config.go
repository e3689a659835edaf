// Package config defines a node's configuration: every setting with its flag, variables, file key, default and check. Load
// takes each setting from the first source that has it, in the order flags, environment, file, defaults. It reports every
// problem at once, and no report contains a secret.
package config

import (
	"log/slog"
	"time"
)

// DefaultHTTPAddr is the listen address of a node that is configured without one.
const DefaultHTTPAddr = ":8080"

// Config is a node's complete, checked configuration; Load returns no other. It may be printed, logged and marshalled,
// because its secrets hide themselves.
type Config struct {
	// NodeID is the configured name of the node, or empty: the daemon then determines it.
	NodeID string

	// The listen addresses, host:port; an empty host means all interfaces. NodeAddr is empty for a single node, which opens
	// no port for others.
	HTTPAddr, NodeAddr string
	// The addresses that others dial, host:port; empty means the address that was bound.
	HTTPAdvertise, NodeAdvertise string

	// DataDir holds raft's log and the node's name.
	DataDir string
	// BootstrapExpect is how many nodes start a new cluster together, 1 to 5.
	BootstrapExpect int
	// Join lists node addresses, host:port. One that answers is enough.
	Join []string
	// DeadAfter is how long a voter may be silent before it is removed.
	DeadAfter time.Duration
	// DrainDelay is how long a node continues to serve after /readyz has returned 503.
	DrainDelay time.Duration

	SyncInterval, CleanupInterval, StaleAfter time.Duration
	// LiveKitLag is how far LiveKit's API may lag behind its webhooks; 0 means not at all.
	LiveKitLag time.Duration

	LiveKit LiveKit

	Redis RedisTarget
	// EmbeddedRedis says that serve may run without a Redis server. Without a URL, dev always does.
	EmbeddedRedis bool
	// EmbeddedAddr and EmbeddedPassword are those of the embedded Redis; if empty, a free loopback port and a random password. No flag sets them.
	EmbeddedAddr     string
	EmbeddedPassword Secret
	// RedisTLS are the files for a Redis with TLS; any may be empty.
	RedisTLS RedisTLS
	// RedisPrefix begins every key.
	RedisPrefix string
	// RedisHashTags is true if the room names in keys are put in literal braces.
	RedisHashTags bool
	// CountKinds are the participant kinds that count as present, upper case.
	CountKinds []string
	// ChangeFeed says whether commits append to the stream of changes, and
	// ChangeFeedMax about how many entries that stream keeps.
	ChangeFeed    bool
	ChangeFeedMax int64
	// Timeline says whether commits keep their room's last changes, for people to read.
	Timeline bool

	AdminToken Secret
	// SecretFiles are the files from which secrets were read.
	SecretFiles SecretFiles
	// MetricsPublic opens /metrics to callers without a token.
	MetricsPublic bool
	// CORSOrigins are origins of other sites whose pages may call the API.
	CORSOrigins []string

	// PeerTLS protects the node port; all three files or none.
	PeerTLS PeerTLS
	// Insecure allows connections between nodes without TLS off loopback.
	Insecure bool
	// HTTPTLS protects the public listener; both files or none.
	HTTPTLS HTTPTLS

	// OTLPEndpoint is the base URL of the collector that gets traces, http or https, without a trailing slash; empty for no traces.
	OTLPEndpoint string
	// DebugAddr is the listen address of profiles and expvar, host:port; empty for none.
	DebugAddr string

	LogLevel slog.Level
	// LogFormat is "text" or "json".
	LogFormat string
}

// SecretFiles are the paths of files that hold a secret each; empty for one that is given directly or not at all.
type SecretFiles struct{ APIKey, APISecret, Keys, AdminToken, RedisURL string }

// LiveKit configures how to reach LiveKit and which keys may sign webhooks.
type LiveKit struct {
	// Host is the base URL, http or https, without a trailing slash. In dev it may be empty; then key and secret, which may be empty
	// too, are for the LiveKit that dev starts.
	Host      string
	APIKey    string
	APISecret Secret
	// Keys are further key/secret pairs that may sign webhooks.
	Keys map[string]Secret
	// Concurrency limits the requests in flight.
	Concurrency int
	// Rate limits the requests per second; 0 means no limit.
	Rate float64
}

// SigningKeys returns every key that may sign a webhook, with its secret in plain text.
func (l LiveKit) SigningKeys() map[string]string {
	all := make(map[string]string, len(l.Keys)+1)
	for key, secret := range l.Keys {
		all[key] = secret.Reveal()
	}
	if l.APIKey != "" {
		all[l.APIKey] = l.APISecret.Reveal()
	}
	return all
}

// needsNoPort reports whether no setting other than --node-addr concerns other nodes.
func (c *Config) needsNoPort() bool {
	return c.BootstrapExpect <= 1 && len(c.Join) == 0 && c.NodeAdvertise == ""
}

// Alone reports whether no setting concerns other nodes.
func (c *Config) Alone() bool { return c.needsNoPort() && c.NodeAddr == "" }
