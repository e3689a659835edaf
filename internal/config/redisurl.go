package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisMode is the kind of Redis that a RedisTarget describes.
type RedisMode string

// The modes of Redis.
const (
	RedisEmbedded RedisMode = "embedded" // in this process's memory; no address
	RedisSingle   RedisMode = "single"   // one address, or one socket path
	RedisSentinel RedisMode = "sentinel" // the sentinels' addresses and Master
	RedisCluster  RedisMode = "cluster"  // some of the cluster's addresses
)

// RedisTarget describes where Redis is and how to authenticate there.
type RedisTarget struct {
	Mode RedisMode
	// Addrs are host:port, or one path of a Unix socket.
	Addrs []string
	// Master is the name by which the sentinels know the master.
	Master           string
	Username         string
	Password         Secret
	SentinelUsername string
	SentinelPassword Secret
	DB               int
	TLS              bool
}

const redisForms = "give redis://user:password@host:6379/0, rediss://… for TLS, unix:///path/redis.sock?db=0, " +
	"redis+sentinel://user:password@host1:26379,host2:26379/master/0 or redis+cluster://user:password@host1:6379,host2:6379"

// redisScheme returns the mode and whether to use TLS for a scheme.
func redisScheme(scheme string) (mode RedisMode, useTLS, ok bool) {
	name, plus, _ := strings.Cut(scheme, "+")
	switch name {
	case "rediss", "valkeys":
		useTLS = true
	case "redis", "valkey":
	default:
		return "", false, false
	}
	switch plus {
	case "":
		mode = RedisSingle
	case "sentinel":
		mode = RedisSentinel
	case "cluster":
		mode = RedisCluster
	}
	return mode, useTLS, mode != "" && !strings.HasSuffix(scheme, "+")
}

// ParseRedisURL reads the forms of REDIS_URL; an empty one means the embedded
// Redis. Its errors never hold any part of the text, which may have a password
// anywhere when it is malformed.
//
//	redis://[user:password@]host[:6379][/db]              one server (rediss:// with TLS)
//	unix://[user:password@]/path/to.sock[?db=n]           one server by its socket
//	redis+cluster://[user:password@]host[:6379],…         Cluster (also redis://…?cluster=true)
//	valkey://…, valkeys://…                               as redis://…, rediss://…
//	redis+sentinel://[user:password@]host[:26379],…/master[/db][?sentinel_username=…&sentinel_password=…]
func ParseRedisURL(s string) (RedisTarget, error) {
	if s == "" {
		return RedisTarget{Mode: RedisEmbedded}, nil
	}
	if s = bareURL(s); s == "" {
		return RedisTarget{}, errors.New("the URL is nothing but spaces or quotes: " + redisForms)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return RedisTarget{}, errors.New("the URL (not shown) has no scheme: " + redisForms)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.Contains(tail, "@") {
		return RedisTarget{}, errors.New("the URL (not shown) has an @ behind its host: write / ? # @ in a user or password as %2F %3F %23 %40")
	}
	tail, query, _ := strings.Cut(tail, "?")
	params, err := url.ParseQuery(query)
	if err != nil || strings.Contains(tail+query, "#") {
		return RedisTarget{}, errors.New("the URL (not shown) has a malformed query: " + redisForms)
	}
	var t RedisTarget
	hosts, err := t.readUser(authority)
	if err != nil {
		return RedisTarget{}, err
	}
	if scheme == "unix" {
		err = t.readSocket(hosts, tail)
	} else {
		err = t.readServers(scheme, hosts, tail, params)
	}
	if err == nil {
		err = t.readParams(params)
	}
	if err != nil {
		return RedisTarget{}, err
	}
	return t, nil
}

// bareURL removes what files and shells leave around a URL: spaces, line ends and a pair of quotes.
func bareURL(s string) string {
	s = strings.TrimSpace(s)
	for _, quote := range []string{`"`, "'"} {
		if inner, ok := strings.CutPrefix(s, quote); ok && strings.HasSuffix(inner, quote) {
			return strings.TrimSpace(strings.TrimSuffix(inner, quote))
		}
	}
	return s
}

// readUser removes user:password@ from the authority and returns the rest.
func (t *RedisTarget) readUser(authority string) (string, error) {
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return authority, nil
	}
	user, password, hasPassword := strings.Cut(authority[:at], ":")
	if !hasPassword || password == "" {
		return "", errors.New("the URL (not shown) has a user without a password: write user:password@ or, without a user, :password@")
	}
	name, err1 := url.PathUnescape(user)
	secret, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return "", errors.New("the URL (not shown) has a malformed %-escape in its user or password: write a % itself as %25")
	}
	t.Username, t.Password = name, Secret(secret)
	return authority[at+1:], nil
}

func (t *RedisTarget) readSocket(hosts, path string) error {
	path, err := url.PathUnescape(path)
	if hosts != "" || len(path) < 2 || err != nil {
		return errors.New("the URL (not shown) names no socket: give unix:///path/redis.sock, with three slashes")
	}
	t.Mode, t.Addrs = RedisSingle, []string{path}
	return nil
}

func (t *RedisTarget) readServers(scheme, hosts, path string, params url.Values) error {
	mode, useTLS, ok := redisScheme(scheme)
	if !ok {
		return errors.New("the URL (not shown) has an unknown scheme: " + redisForms)
	}
	if cluster := params.Get("cluster"); cluster != "" && mode != RedisSentinel {
		on, err := strconv.ParseBool(cluster)
		if err != nil {
			return errors.New("the URL's cluster= is neither true nor false: give redis://host:6379?cluster=true")
		}
		if on {
			mode = RedisCluster
		}
	}
	params.Del("cluster")
	t.Mode, t.TLS = mode, useTLS
	port := "6379"
	if mode == RedisSentinel {
		port = "26379"
	}
	for n, host := range strings.Split(hosts, ",") {
		addr, ok := withPort(host, port)
		if !ok {
			return fmt.Errorf("host %d of the URL (not shown) is not host or host:port (an IPv6 address is written in brackets: [::1]:6379); %s", n+1, redisForms)
		}
		t.Addrs = append(t.Addrs, addr)
	}
	if mode == RedisSingle && len(t.Addrs) > 1 {
		return errors.New("the URL (not shown) has several hosts: give one, or redis+cluster:// or redis+sentinel:// in front of several")
	}
	return t.readPath(path)
}

// readPath reads /db, or /master/db for sentinels.
func (t *RedisTarget) readPath(path string) error {
	path = strings.Trim(path, "/")
	if t.Mode == RedisSentinel {
		master, db, _ := strings.Cut(path, "/")
		name, err := url.PathUnescape(master)
		if name == "" || err != nil {
			return errors.New("the URL (not shown) does not name the master: give redis+sentinel://host1:26379,host2:26379/master")
		}
		t.Master, path = name, db
	}
	if path == "" {
		return nil
	}
	return t.setDB(path)
}

func (t *RedisTarget) readParams(params url.Values) error {
	for name, values := range params {
		value := values[len(values)-1]
		switch {
		case name == "db":
			if err := t.setDB(value); err != nil {
				return err
			}
		case name == "sentinel_username" && t.Mode == RedisSentinel:
			t.SentinelUsername = value
		case name == "sentinel_password" && t.Mode == RedisSentinel:
			t.SentinelPassword = Secret(value)
		default:
			return errors.New("the URL (not shown) has a parameter that is not known there: db and cluster are, and sentinel_username and sentinel_password with redis+sentinel://")
		}
	}
	return nil
}

func (t *RedisTarget) setDB(s string) error {
	db, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return errors.New("the URL's database is not a number: give one such as redis://host:6379/0")
	}
	if db != 0 && t.Mode == RedisCluster {
		return errors.New("the URL names a database, but Redis Cluster has only database 0: leave it out")
	}
	t.DB = int(db)
	return nil
}

// withPort completes host to host:port.
func withPort(host, port string) (string, bool) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		return host, goodHost(h) && goodPort(p, 1)
	}
	bare := host
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		bare = strings.TrimSuffix(inner, "]")
	}
	if bare == host && strings.Count(host, ":") > 1 || strings.ContainsAny(bare, "[]") {
		return "", false // "::1:6379" is itself an IPv6 address, but was hardly meant as one
	}
	return net.JoinHostPort(bare, port), goodHost(bare)
}

// String returns the target as a URL without its secrets.
func (t RedisTarget) String() string {
	if t.Mode == RedisEmbedded || t.Mode == "" {
		return string(RedisEmbedded)
	}
	user := ""
	if t.Password != "" {
		user = url.PathEscape(t.Username) + ":" + redacted + "@"
	}
	if t.socket() {
		return fmt.Sprintf("unix://%s%s?db=%d", user, t.Addrs[0], t.DB)
	}
	scheme := "redis"
	if t.TLS {
		scheme = "rediss"
	}
	servers := user + strings.Join(t.Addrs, ",")
	switch t.Mode {
	case RedisSentinel:
		return fmt.Sprintf("%s+sentinel://%s/%s/%d", scheme, servers, url.PathEscape(t.Master), t.DB)
	case RedisCluster:
		return fmt.Sprintf("%s+cluster://%s", scheme, servers)
	default:
		return fmt.Sprintf("%s://%s/%d", scheme, servers, t.DB)
	}
}

func (t RedisTarget) socket() bool {
	return len(t.Addrs) == 1 && strings.HasPrefix(t.Addrs[0], "/")
}

// Options returns go-redis's options for the target (for redis.NewUniversalClient), with its secrets. Everything that a URL
// does not contain is left for the caller to set. The options are meaningless for the embedded Redis, which has no address.
func (t RedisTarget) Options() *redis.UniversalOptions {
	o := &redis.UniversalOptions{
		Addrs:            t.Addrs,
		DB:               t.DB,
		MasterName:       t.Master,
		IsClusterMode:    t.Mode == RedisCluster,
		Username:         t.Username,
		Password:         t.Password.Reveal(),
		SentinelUsername: t.SentinelUsername,
		SentinelPassword: t.SentinelPassword.Reveal(),
	}
	if t.TLS {
		// Without a ServerName the name of the dialled host is verified, which is correct for every server of a cluster too.
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}
