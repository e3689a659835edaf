package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/rollcallhq/rollcall/fsm"
	lk "github.com/rollcallhq/rollcall/internal/livekit"
)

// cloudRate is the number of requests per second that LiveKit Cloud's budget of about 1,000 a minute allows.
const cloudRate = 15

// setLiveKitHost turns a host or a URL into the base URL of LiveKit's API.
func setLiveKitHost(c *Config, s string) error {
	const right = "give a host such as project.livekit.cloud or livekit.local:7880 (https is meant), or a URL such as wss://project.livekit.cloud or http://127.0.0.1:7880"
	c.LiveKit.Host = ""
	if s == "" {
		return nil
	}
	base, err := lk.HostURL(s)
	if err != nil {
		return fmt.Errorf("%w; %s", err, right)
	}
	u, err := url.Parse(base)
	if err != nil || !goodHost(u.Hostname()) || (u.Port() != "" && !goodPort(u.Port(), 1)) {
		return errors.New("the LiveKit host (not shown) has a malformed name or port; " + right)
	}
	c.LiveKit.Host = base
	return nil
}

// isCloud reports whether the base URL is one of LiveKit Cloud.
func isCloud(base string) bool {
	u, err := url.Parse(base)
	return err == nil && strings.HasSuffix(strings.ToLower(u.Hostname()), ".livekit.cloud")
}

func showLiveKitKeys(c *Config) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(c.LiveKit.Keys)) {
		pairs = append(pairs, key+": "+redacted)
	}
	return strings.Join(pairs, ", ")
}

// participantKinds returns LiveKit's names of kinds, in its own order.
func participantKinds() []string {
	kinds := slices.Collect(maps.Keys(livekit.ParticipantInfo_Kind_value))
	slices.SortFunc(kinds, func(a, b string) int {
		return int(livekit.ParticipantInfo_Kind_value[a] - livekit.ParticipantInfo_Kind_value[b])
	})
	return kinds
}

func setCountKinds(c *Config, s string) error {
	var kinds []string
	for _, kind := range SplitList(s) {
		kind = strings.ToUpper(kind)
		if !slices.Contains(participantKinds(), kind) {
			return fmt.Errorf("%q is not a kind of participant: give some of %s, separated by commas", kind, strings.Join(participantKinds(), ", "))
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return errors.New("empty: give at least one kind, such as STANDARD,SIP")
	}
	c.CountKinds = kinds
	return nil
}

func setRedisURL(c *Config, s string) error {
	target, err := ParseRedisURL(s)
	if err != nil {
		return err
	}
	c.Redis = target
	return nil
}

// maxRedisPrefix is the longest prefix of keys, in bytes: Redis keeps it with every key.
const maxRedisPrefix = 64

// setRedisPrefix accepts prefixes that neither Redis Cluster nor a pattern of SCAN gives a meaning. With a prefix of the application's keys, or
// one that continues a room's key of another prefix, a room's name could make a key that is not ours.
func setRedisPrefix(c *Config, s string) error {
	const right = "give 1 to 64 letters, digits, dots, colons, slashes, dashes or underscores such as staging:rooms:"
	if len(s) > maxRedisPrefix || !regexp.MustCompile(`^[A-Za-z0-9._:/-]+$`).MatchString(s) {
		return fmt.Errorf("%q is not a prefix of keys: %s", clip(s), right)
	}
	for _, theirs := range []string{"matching:", "left_behind:"} {
		if strings.HasPrefix(s, theirs) {
			return fmt.Errorf("%q begins keys of the application: %s", s, right)
		}
	}
	for _, kind := range []string{"participants:", "states:", "fence:", "timeline:"} {
		if strings.Contains(s, kind) {
			return fmt.Errorf("%q holds %s, which stands before a room's name in keys: %s", s, kind, right)
		}
	}
	c.RedisPrefix = s
	return nil
}

// clip shortens a text for a message.
func clip(s string) string {
	if len(s) <= maxRedisPrefix {
		return s
	}
	return strings.ToValidUTF8(s[:maxRedisPrefix], "") + "…"
}

// setHashTags stores auto as false: validate, which knows the target, decides.
func setHashTags(c *Config, s string) error {
	if s == "auto" {
		c.RedisHashTags = false
		return nil
	}
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is not one of the choices: give auto, true or false", s)
	}
	c.RedisHashTags = v
	return nil
}

func setNodeID(c *Config, s string) error {
	if s != "" && !fsm.ValidNodeID(s) {
		return fmt.Errorf("%q is not a node name: give 1 to 64 letters, digits, dots, dashes or underscores, such as n1", s)
	}
	c.NodeID = s
	return nil
}

func setJoin(c *Config, s string) error {
	c.Join = nil
	for _, addr := range SplitList(s) {
		if err := checkDialAddr(addr); err != nil {
			return err
		}
		c.Join = append(c.Join, addr)
	}
	return nil
}

// setCORSOrigins accepts origins exactly as browsers send them, and nothing that would need interpretation.
func setCORSOrigins(c *Config, s string) error {
	c.CORSOrigins = nil
	for _, origin := range SplitList(s) {
		if !goodOrigin(origin) {
			return fmt.Errorf("%q is not an origin as browsers send it: give scheme://host or scheme://host:port in lower case, without a path and without the scheme's own port, such as https://app.example.org; there is no wildcard", origin)
		}
		c.CORSOrigins = append(c.CORSOrigins, origin)
	}
	return nil
}

func goodOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	own := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return goodHost(u.Hostname()) && u.Port() != own && (u.Port() == "" && !strings.HasSuffix(u.Host, ":") || goodPort(u.Port(), 1)) &&
		origin == strings.ToLower(origin)
}

// setOTLPEndpoint stores the base URL. A bare host:port means http, as collectors beside their programs mostly have it.
func setOTLPEndpoint(c *Config, s string) error {
	c.OTLPEndpoint = ""
	if s == "" {
		return nil
	}
	const right = "give a URL such as http://127.0.0.1:4318 or https://otlp.example.org"
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || HasControlOrSpace(s) || strings.ContainsAny(s, "?#"):
		return errors.New("the endpoint (not shown) is not a URL of a collector: " + right)
	case u.User != nil:
		return errors.New("the endpoint (not shown) has a user or password: leave it out, and give what the collector wants in OTEL_EXPORTER_OTLP_HEADERS")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is neither http nor https, the only ways in which traces are sent: %s", u.Scheme, right)
	case !goodHost(u.Hostname()) || u.Port() != "" && !goodPort(u.Port(), 1) || strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q has a malformed host or port: %s", s, right)
	}
	c.OTLPEndpoint = strings.TrimRight(s, "/")
	return nil
}

// setDebugAddr stores a listen address; without a host it is on loopback.
func setDebugAddr(c *Config, s string) error {
	c.DebugAddr = ""
	if s == "" {
		return nil
	}
	if err := checkListenAddr(s, ":6060"); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil && host == "" {
		s = net.JoinHostPort("127.0.0.1", port)
	}
	c.DebugAddr = s
	return err
}

func setLogLevel(c *Config, s string) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if levelName(level) == s {
			c.LogLevel = level
			return nil
		}
	}
	return fmt.Errorf("%q is not one of the choices: give debug, info, warn or error", s)
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// checkListenAddr accepts host:port, where the host may be empty and the port 0.
func checkListenAddr(s, example string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !goodPort(port, 0) || (host != "" && !goodHost(host)) {
		return fmt.Errorf("%q is not host:port: give one such as %s or 127.0.0.1%s", s, example, example)
	}
	return nil
}

// checkDialAddr accepts a host:port that another machine can dial.
func checkDialAddr(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !goodPort(port, 1) || !goodHost(host) || EveryInterface(host) {
		return fmt.Errorf("%q is not an address that others can dial: give host:port, such as n1.example.org:7000", s)
	}
	return nil
}

// goodHost accepts an IP address (with a zone) or a possible DNS name.
func goodHost(host string) bool {
	if ip, _, _ := strings.Cut(host, "%"); net.ParseIP(ip) != nil {
		return true
	}
	return regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`).MatchString(host)
}

func goodPort(port string, least int) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && int(n) >= least
}

// EveryInterface reports whether the host of a listen address means every interface.
func EveryInterface(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || (ip != nil && ip.IsUnspecified())
}

// loopback reports whether only this machine can reach a host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

// SplitList splits at commas and drops empty items.
func SplitList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func joinList(items []string) string { return strings.Join(items, ",") }

// joinOr lists choices as in prose: a, b or c.
func joinOr(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

func showBool(v bool) string { return strconv.FormatBool(v) }

// FormatDuration formats a duration without the trailing zero units of Duration.String.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func isControlOrSpace(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == 0xfeff }

// HasControlOrSpace reports whether s has a space, a line end or another control character, which no address, key or token has.
func HasControlOrSpace(s string) bool { return strings.ContainsFunc(s, isControlOrSpace) }
