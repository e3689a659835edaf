package config

import (
	"cmp"
	"fmt"
	"net"
	"strings"

	"github.com/rollcallhq/rollcall/reconcile"
)

// validate checks what no single value can show by itself, and sets the values that depend on others. texts are the
// settings' texts before parsing.
func validate(c *Config, texts map[string]string, why Purpose, report func(name, problem string)) {
	validateLiveKit(c, why, report)
	validateRedis(c, why, report)
	validateHashTags(c, texts["redis-hash-tags"], report)
	checkTLS(c, report)
	validateMembers(c, report)
	validateNodeAddr(c, report)
	validatePorts(c, report)
}

func validateLiveKit(c *Config, why Purpose, report func(name, problem string)) {
	l := &c.LiveKit
	none := l.Host == "" && l.APIKey == "" && l.APISecret == ""
	if why != ForDev || !none {
		if l.Host == "" && why != ForDev {
			report("livekit-host", "missing, and LIVEKIT_URL is not set either: give LiveKit's host or URL, such as project.livekit.cloud or http://127.0.0.1:7880")
		}
		if l.APIKey == "" {
			report("livekit-api-key", "missing: give the API key of the LiveKit project, such as APIabc123")
		}
		if l.APISecret == "" {
			report("livekit-api-secret", "missing: give the secret that belongs to the API key")
		}
	}
	if other, ok := l.Keys[l.APIKey]; ok && other != l.APISecret && l.APISecret != "" {
		report("livekit-keys", "gives the API key another secret than --livekit-api-secret: give the key in one place, or the same secret")
	}
	if l.Rate == 0 && isCloud(l.Host) {
		l.Rate = cloudRate
	}
}

func validateRedis(c *Config, why Purpose, report func(name, problem string)) {
	noURL := c.Redis.Mode == RedisEmbedded
	switch {
	case noURL && !c.Alone():
		report("redis-url", "missing: nodes of a cluster need one Redis that all reach, and the embedded one is a single node's; "+redisForms)
	case noURL && why == ForServe && !c.EmbeddedRedis:
		report("redis-url", "missing: "+redisForms+"; to try rollcall without a Redis server, give --embedded-redis")
	case !noURL && c.EmbeddedRedis:
		report("embedded-redis", "there is a --redis-url (REDIS_URL) as well: give one of the two")
	}
}

func validateHashTags(c *Config, hashTags string, report func(name, problem string)) {
	cluster := c.Redis.Mode == RedisCluster
	if hashTags == "auto" {
		c.RedisHashTags = cluster
	} else if cluster && !c.RedisHashTags {
		report("redis-hash-tags", "false does not work on Redis Cluster, where a room's keys must share a slot: give auto or true")
	}
}

// validateMembers checks what the cluster itself would refuse at the start.
func validateMembers(c *Config, report func(name, problem string)) {
	if c.BootstrapExpect > 1 && len(c.Join) == 0 {
		report("join", fmt.Sprintf("missing: with --bootstrap-expect %d the nodes must find each other; give the node addresses of all, such as n1.example.org:7000,n2.example.org:7000", c.BootstrapExpect))
	}
}

// validateNodeAddr keeps connections between nodes private: off loopback they need TLS or the operator's explicit
// permission. A node whose configuration names no other node and no interface binds loopback.
func validateNodeAddr(c *Config, report func(name, problem string)) {
	host, port, err := net.SplitHostPort(c.NodeAddr)
	if err != nil {
		return // a single node, or reported when it was parsed
	}
	if host == "" && c.needsNoPort() {
		c.NodeAddr = net.JoinHostPort("127.0.0.1", port)
		return
	}
	if !loopback(host) && !c.PeerTLS.Enabled() && !c.Insecure {
		report("node-addr", fmt.Sprintf("%q is reachable from other machines without TLS: give --tls-ca, --tls-cert and --tls-key, or a loopback address such as 127.0.0.1:%s, or --insecure on a network that nobody else reaches", c.NodeAddr, port))
	}
	if EveryInterface(host) && c.NodeAdvertise == "" {
		report("node-advertise", fmt.Sprintf("missing: --node-addr %s is every interface, so other nodes cannot know which to dial; give host:port, such as n1.example.org:%s", c.NodeAddr, port))
	}
}

// validatePorts reports listeners with conflicting ports.
func validatePorts(c *Config, report func(name, problem string)) {
	listeners := []struct{ name, addr string }{
		{"http-addr", c.HTTPAddr}, {"node-addr", c.NodeAddr}, {"debug-addr", c.DebugAddr},
	}
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if samePort(a.addr, b.addr) {
				report(a.name, fmt.Sprintf("%q takes the port of --%s (%q): give another port", a.addr, b.name, b.addr))
				break
			}
		}
	}
}

func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || EveryInterface(hostA) || EveryInterface(hostB)
}

// warnings returns lines about settings that are allowed but probably unintended.
func warnings(c *Config, texts map[string]string) []string {
	lines := expiryWarnings(c)
	if host := texts["livekit-host"]; host != "" && !strings.Contains(host, "://") {
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		if loopback(name) {
			lines = append(lines, fmt.Sprintf("LIVEKIT_HOST %q means %s; a LiveKit on this machine mostly speaks plain HTTP: then give http://%s", host, c.LiveKit.Host, host))
		}
	}
	if least := max(c.SyncInterval, reconcile.ConfirmEvery); c.StaleAfter > 0 && c.StaleAfter <= least {
		lines = append(lines, fmt.Sprintf("--stale-after %s is not more than %s: each cleanup looks at nearly every room, as if the sync had not", FormatDuration(c.StaleAfter), FormatDuration(least)))
	}
	if own, other := advertised(c), otherMachine(c.Join); own != "" && other != "" {
		lines = append(lines, fmt.Sprintf("other nodes are told to reach this one at %s, which to each of them is its own machine, and --join names %s: give --node-advertise the host:port at which they reach this node", own, other))
	}
	if n := len(c.AdminToken); n > 0 && n < 16 {
		lines = append(lines, "ROLLCALL_ADMIN_TOKEN is shorter than 16 characters: it can be guessed; `openssl rand -hex 24` makes a good one")
	}
	return lines
}

// trialWarnings returns lines about what suits a trial of serve, but not production.
func trialWarnings(c *Config) []string {
	var lines []string
	if c.Redis.Mode == RedisEmbedded {
		lines = append(lines, "--embedded-redis is for trials: the rooms are lost when this node ends, and no other node can join; in production give --redis-url (REDIS_URL)")
	}
	if host, port, err := net.SplitHostPort(c.HTTPAddr); err == nil && EveryInterface(host) && c.AdminToken == "" {
		lines = append(lines, fmt.Sprintf("--http-addr %s is every interface and there is no admin token: programs on this machine need no token, others a LiveKit access token; in production give ROLLCALL_ADMIN_TOKEN (`openssl rand -hex 24` makes a good one), or --http-addr 127.0.0.1:%s", c.HTTPAddr, port))
	}
	if host, port, err := net.SplitHostPort(c.DebugAddr); err == nil && !loopback(host) {
		lines = append(lines, fmt.Sprintf("--debug-addr %s is reachable from other machines without a token: whoever reaches it reads profiles of this node and can slow it down; in production give --debug-addr 127.0.0.1:%s, or :%[2]s, which is the same", c.DebugAddr, port))
	}
	return lines
}

// advertised returns the address that this node gives to others, if only this machine can reach it.
func advertised(c *Config) string {
	addr := cmp.Or(c.NodeAdvertise, c.NodeAddr)
	if host, _, err := net.SplitHostPort(addr); err != nil || !loopback(host) {
		return ""
	}
	return addr
}

// otherMachine returns the first address of another machine.
func otherMachine(addrs []string) string {
	for _, addr := range addrs {
		if host, _, err := net.SplitHostPort(addr); err == nil && !loopback(host) {
			return addr
		}
	}
	return ""
}
