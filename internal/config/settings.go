package config

import (
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// setting is one configuration value: a flag, its variables, and the way its text is parsed into a Config. Flags,
// environment, file, help, check-config and docs/configuration.md are all generated from the list in settings.
type setting struct {
	name string
	env  []string // every variable that sets it; messages name the first
	// otherTools are variables that other tools use for the same value; they have the lowest precedence, and the first that is set counts.
	otherTools []string
	kind       string // the type in the help: string, duration, number, …
	def        string
	group      string
	help       string
	// The values of secret settings are never printed, not even in an error about them.
	secret bool
	// list settings may be repeated as flags and written as a list in YAML.
	list bool
	// fileOf is the setting whose value is in the file that this setting names. If that is optional, a - before the path says that the file
	// may be missing or empty: then nothing gives the value.
	fileOf   string
	optional bool
	// reload says that a running node can take a new value.
	reload bool
	// set parses text into c. Its error says what is wrong and what a valid value looks like; it begins with the value
	// unless that is a secret.
	set func(c *Config, text string) error
	// show prints the effective value.
	show func(c *Config) string
	// value returns what show hides, for comparison; nil if show hides nothing.
	value func(c *Config) any
}

// The groups in which settings are documented.
const (
	groupLiveKit = "LiveKit"
	groupRedis   = "Redis"
	groupHTTP    = "HTTP"
	groupSync    = "Sync"
	groupCluster = "Node and cluster"
	groupTLS     = "TLS"
	groupLog     = "Logging"
	groupDebug   = "Traces and debugging"
)

// settings lists every setting, in the order in which help shows them.
func settings() []setting {
	var all []setting
	for _, group := range [][]setting{
		liveKitSettings(), redisSettings(), httpSettings(), syncSettings(),
		clusterSettings(), tlsSettings(), logSettings(), debugSettings(),
	} {
		all = append(all, group...)
	}
	for i := range all {
		all[i].env = append(all[i].env, EnvName(all[i].name))
	}
	return all
}

func liveKitSettings() []setting {
	host := text("livekit-host", groupLiveKit, "where LiveKit's API is: a host (https is meant), or an http(s):// or ws(s):// URL; LIVEKIT_URL is used if nothing else sets it",
		func(c *Config) *string { return &c.LiveKit.Host })
	host.env, host.otherTools = []string{"LIVEKIT_HOST"}, []string{"LIVEKIT_URL"}
	host.set = setLiveKitHost
	key := text("livekit-api-key", groupLiveKit, "API key of the LiveKit project",
		func(c *Config) *string { return &c.LiveKit.APIKey }).live()
	key.env = []string{"LIVEKIT_API_KEY"}
	secret := secretText("livekit-api-secret", groupLiveKit, "secret of --livekit-api-key; better in LIVEKIT_API_SECRET, where ps does not show it",
		func(c *Config) *Secret { return &c.LiveKit.APISecret }).live()
	secret.env = []string{"LIVEKIT_API_SECRET"}
	keys := setting{
		name: "livekit-keys", env: []string{"LIVEKIT_KEYS"}, kind: "pairs", group: groupLiveKit, secret: true,
		help: `further keys that may sign webhooks while a key rotates: "key: secret, key2: secret2", or YAML as in LiveKit's own LIVEKIT_KEYS`,
		set:  setLiveKitKeys, show: showLiveKitKeys, value: func(c *Config) any { return c.LiveKit.Keys },
	}
	keyIn := secretFile("livekit-api-key", groupLiveKit, func(c *Config) *string { return &c.SecretFiles.APIKey }).readAgain()
	secretIn := secretFile("livekit-api-secret", groupLiveKit, func(c *Config) *string { return &c.SecretFiles.APISecret }).readAgain()
	keysIn := secretFile("livekit-keys", groupLiveKit, func(c *Config) *string { return &c.SecretFiles.Keys }).readAgain().mayBeMissing()
	keyIn.env, secretIn.env, keysIn.env = []string{"LIVEKIT_API_KEY_FILE"}, []string{"LIVEKIT_API_SECRET_FILE"}, []string{"LIVEKIT_KEYS_FILE"}
	return []setting{
		host, key, keyIn, secret, secretIn, keys.live(), keysIn,
		number("livekit-concurrency", "16", groupLiveKit, "how many requests to LiveKit this node may have in flight",
			func(c *Config) *int { return &c.LiveKit.Concurrency }, 1, 1000),
		rate("livekit-rate", "0", groupLiveKit, "requests per second to LiveKit at most, of all nodes together; 0 is no limit, except 15 for a host of *.livekit.cloud",
			func(c *Config) *float64 { return &c.LiveKit.Rate }, 10000).live(),
		duration("livekit-lag", "10s", groupLiveKit, "how far LiveKit's API may lag behind its webhooks: a sync does not contradict a webhook that arrived within that time; 0 means no lag; should be the same on all nodes, because each one's own counts for the rooms that it owns",
			func(c *Config) *time.Duration { return &c.LiveKitLag }, 0, reconcile.MaxLag),
		{
			name: "count-kinds", kind: "list", def: "STANDARD,SIP", group: groupLiveKit, list: true,
			help: "kinds of participants that count as present in rooms:participants: " + joinOr(participantKinds()),
			set:  setCountKinds, show: func(c *Config) string { return joinList(c.CountKinds) },
		},
	}
}

func redisSettings() []setting {
	urlIn := secretFile("redis-url", groupRedis, func(c *Config) *string { return &c.SecretFiles.RedisURL })
	urlIn.env = []string{"REDIS_URL_FILE"}
	return []setting{
		{
			name: "redis-url", env: []string{"REDIS_URL"}, kind: "url", group: groupRedis, secret: true,
			help: "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// (forms: docs/configuration.md); required, unless --embedded-redis is given",
			set:  setRedisURL, show: func(c *Config) string { return c.Redis.String() }, value: func(c *Config) any { return c.Redis },
		},
		urlIn,
		toggle("embedded-redis", "false", groupRedis, "use a Redis in this node's memory instead of --redis-url, to try rollcall: for one node alone, and empty after a restart",
			func(c *Config) *bool { return &c.EmbeddedRedis }),
		{
			name: "redis-prefix", kind: "string", def: "rooms:", group: groupRedis,
			help: "begins every key, so that several clusters of rollcall share one Redis, each with its own; all nodes and readers must agree",
			set:  setRedisPrefix, show: func(c *Config) string { return c.RedisPrefix },
		},
		{
			name: "redis-hash-tags", kind: switchKind, def: "auto", group: groupRedis,
			help: "put room names in literal braces, so that a room's keys share a slot; auto is true for Redis Cluster; all nodes and readers must agree; as a flag with =, or alone for true",
			set:  setHashTags, show: func(c *Config) string { return showBool(c.RedisHashTags) },
		},
		redisFile("redis-tls-ca", "certificate authority (PEM file) of Redis, instead of the system's; needs a rediss:// URL",
			func(c *Config) *string { return &c.RedisTLS.CAFile }),
		redisFile("redis-tls-cert", "certificate (PEM file) to show to a Redis that asks for one; needs --redis-tls-key and a rediss:// URL",
			func(c *Config) *string { return &c.RedisTLS.CertFile }),
		redisFile("redis-tls-key", "private key (PEM file) of --redis-tls-cert", func(c *Config) *string { return &c.RedisTLS.KeyFile }),
		toggle("change-feed", "true", groupRedis, "append every change to the stream rooms:events",
			func(c *Config) *bool { return &c.ChangeFeed }),
		number("change-feed-max", "100000", groupRedis, "about how many entries the change feed keeps",
			func(c *Config) *int64 { return &c.ChangeFeedMax }, 100, 100_000_000),
		toggle("timeline", "true", groupRedis, "keep each room's last 100 changes with their causes; costs a commit some microseconds, and a room up to 15 KB of Redis",
			func(c *Config) *bool { return &c.Timeline }),
	}
}

func httpSettings() []setting {
	return []setting{
		address("http-addr", DefaultHTTPAddr, groupHTTP, "listen address for webhooks and API",
			func(c *Config) *string { return &c.HTTPAddr }),
		advertise("http-advertise", groupHTTP, "host:port at which others reach --http-addr (default: the address bound)",
			func(c *Config) *string { return &c.HTTPAdvertise }),
		secretText("admin-token", groupHTTP, "bearer token that may do everything; without one, only loopback callers and LiveKit access tokens may; better in ROLLCALL_ADMIN_TOKEN",
			func(c *Config) *Secret { return &c.AdminToken }).live(),
		secretFile("admin-token", groupHTTP, func(c *Config) *string { return &c.SecretFiles.AdminToken }).readAgain(),
		toggle("metrics-public", "false", groupHTTP, "serve /metrics without a token",
			func(c *Config) *bool { return &c.MetricsPublic }),
		{
			name: "cors-origins", kind: "list", group: groupHTTP, list: true, reload: true,
			help: "origins of other sites whose pages may call the API, always with a token, comma-separated, such as https://app.example.org; none by default",
			set:  setCORSOrigins, show: func(c *Config) string { return joinList(c.CORSOrigins) },
		},
		duration("drain-delay", "1s", groupHTTP, "how long to go on serving after /readyz says 503, so that load balancers notice; more than 5s may end later than 10 s after SIGTERM",
			func(c *Config) *time.Duration { return &c.DrainDelay }, 0, time.Minute).live(),
	}
}

func syncSettings() []setting {
	return []setting{
		duration("sync-interval", "30s", groupSync, "how often every room is compared with LiveKit",
			func(c *Config) *time.Duration { return &c.SyncInterval }, time.Second, time.Hour).live(),
		duration("cleanup-interval", "5m", groupSync, "how often what the sync leaves behind is cleaned up",
			func(c *Config) *time.Duration { return &c.CleanupInterval }, time.Second, 24*time.Hour).live(),
		duration("stale-after", "30m", groupSync, "how long a room may go unconfirmed before cleanup looks at it; should be more than --sync-interval and 5m",
			func(c *Config) *time.Duration { return &c.StaleAfter }, time.Second, 7*24*time.Hour).live(),
	}
}

func clusterSettings() []setting {
	return []setting{
		{
			name: "node-id", kind: "string", group: groupCluster,
			help: "permanent name of this node (default: the name in --data-dir; at the first start, the host name)",
			set:  setNodeID, show: func(c *Config) string { return c.NodeID },
		},
		dataDir(),
		number("bootstrap-expect", "1", groupCluster, "how many nodes found the cluster together",
			func(c *Config) *int { return &c.BootstrapExpect }, 1, 5),
		{
			name: "join", kind: "list", group: groupCluster, list: true,
			help: "node addresses host:port of the cluster, comma-separated; a DNS name with several addresses works too",
			set:  setJoin, show: func(c *Config) string { return joinList(c.Join) },
		},
		address("node-addr", ":7000", groupCluster, "listen address for other nodes; a node that is alone (no --join, --bootstrap-expect 1, neither this nor --node-advertise given) opens none, and one without --join binds loopback when no host is given",
			func(c *Config) *string { return &c.NodeAddr }),
		advertise("node-advertise", groupCluster, "host:port at which other nodes reach --node-addr (default: the address bound)",
			func(c *Config) *string { return &c.NodeAdvertise }),
		duration("dead-after", "10m", groupCluster, "how long a voter may be silent before it is removed from raft",
			func(c *Config) *time.Duration { return &c.DeadAfter }, 10*time.Second, 7*24*time.Hour),
	}
}

func tlsSettings() []setting {
	return []setting{
		path("tls-ca", "certificate authority (PEM file) of the nodes", func(c *Config) *string { return &c.PeerTLS.CAFile }),
		path("tls-cert", "certificate (PEM file) that this node shows to other nodes", func(c *Config) *string { return &c.PeerTLS.CertFile }),
		path("tls-key", "private key (PEM file) of --tls-cert", func(c *Config) *string { return &c.PeerTLS.KeyFile }),
		toggle("insecure", "false", groupTLS, "let nodes talk without TLS off loopback: only on a network that nobody else reaches",
			func(c *Config) *bool { return &c.Insecure }),
		path("http-tls-cert", "certificate (PEM file) of --http-addr; without it, plain HTTP", func(c *Config) *string { return &c.HTTPTLS.CertFile }),
		path("http-tls-key", "private key (PEM file) of --http-tls-cert", func(c *Config) *string { return &c.HTTPTLS.KeyFile }),
	}
}

func logSettings() []setting {
	return []setting{
		{
			name: "log-level", kind: "debug|info|warn|error", def: "info", group: groupLog, reload: true,
			help: "the least important messages to log", set: setLogLevel,
			show: func(c *Config) string { return levelName(c.LogLevel) },
		},
		oneOf("log-format", "text", groupLog, "how log lines look", func(c *Config) *string { return &c.LogFormat }, "text", "json"),
	}
}

func debugSettings() []setting {
	return []setting{
		{
			name: "otlp-endpoint", otherTools: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}, kind: "url", group: groupDebug,
			help: "collector to send traces to by OTLP over HTTP, such as http://127.0.0.1:4318; OTEL_EXPORTER_OTLP_ENDPOINT is used if nothing else sets it, and the other OTEL_* variables hold (docs/operations.md); none by default",
			set:  setOTLPEndpoint, show: func(c *Config) string { return c.OTLPEndpoint },
		},
		{
			name: "debug-addr", kind: "host:port", group: groupDebug,
			help: "listen address of Go's profiles (/debug/pprof/) and counters (/debug/vars), without a token; loopback if no host is given; none by default",
			set:  setDebugAddr, show: func(c *Config) string { return c.DebugAddr },
		},
	}
}
