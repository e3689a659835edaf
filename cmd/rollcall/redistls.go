package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/certfile"
	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// RedisTLS are the files of the connection to Redis; the system's authorities hold without CAFile.
type RedisTLS struct{ CAFile, CertFile, KeyFile string }

// checkRedisTLS reports files that are missing, do not load, or have no use.
func checkRedisTLS(c *Config, report func(name, problem string)) {
	ca := fileFlag{"redis-tls-ca", c.RedisTLS.CAFile}
	pair := []fileFlag{{"redis-tls-cert", c.RedisTLS.CertFile}, {"redis-tls-key", c.RedisTLS.KeyFile}}
	if c.Redis.Mode != "" && !c.Redis.TLS { // without a mode the URL is wrong, which has been told
		for _, f := range append(pair, ca) {
			if f.file != "" {
				report(f.name, "needs TLS to Redis: give a --redis-url that begins with rediss, or leave it out")
			}
		}
	}
	if ca.file != "" {
		if _, err := certfile.ReadPool(ca.file); err != nil {
			report(ca.name, fmt.Sprintf("%v: give a readable PEM file with the authority's certificate", err))
		}
	}
	if complete(pair, report) {
		checkPair(pair[0], pair[1], report)
	}
}

// apply puts the files into the connection's options. The certificate is read again when its files change, the authority at the next start.
func (f RedisTLS) apply(o *redis.UniversalOptions, log *slog.Logger) error {
	if o.TLSConfig == nil {
		return nil
	}
	if f.CAFile != "" {
		pool, err := certfile.ReadPool(f.CAFile)
		if err != nil {
			return fmt.Errorf("--redis-tls-ca: %w", err)
		}
		o.TLSConfig.RootCAs = pool
	}
	if f.CertFile != "" {
		pair, err := certfile.Pair(f.CertFile, f.KeyFile, log)
		if err != nil {
			return fmt.Errorf("--redis-tls-cert, --redis-tls-key: %w", err)
		}
		o.TLSConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Get(), nil }
	}
	return nil
}

// redisHint says what an operator may have to change, by how the first try failed; "" where the error says enough.
func redisHint(ctx context.Context, target RedisTarget, options *redis.UniversalOptions, err error) string {
	var noTLS tls.RecordHeaderError
	var stranger x509.UnknownAuthorityError
	var alert tls.AlertError
	switch {
	case errors.Is(err, redisstore.ErrClusterNode):
		cluster := target
		cluster.Mode, cluster.DB = RedisCluster, 0
		return "give its URL as a Cluster's: " + cluster.String()
	case errors.As(err, &noTLS):
		return "this port does not speak TLS: give a URL that begins with redis, or the port for TLS"
	case errors.As(err, &stranger):
		return "its certificate is of an authority that this machine does not know: give that one's certificate in --redis-tls-ca"
	case errors.As(err, &alert) && target.TLS, target.TLS && strings.Contains(err.Error(), "tls: "):
		return "TLS fails: if Redis asks for a client's certificate, give --redis-tls-cert and --redis-tls-key"
	case target.Mode == RedisSentinel:
		return sentinelHint(ctx, target, options)
	case !target.TLS && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return "it ends the connection without an answer: if this port speaks TLS, give a URL that begins with rediss"
	}
	return ""
}

// sentinelHint asks the sentinels themselves: the client only says that none could be used.
func sentinelHint(ctx context.Context, target RedisTarget, options *redis.UniversalOptions) string {
	for _, addr := range target.Addrs {
		c := redis.NewSentinelClient(&redis.Options{Addr: addr, Username: target.SentinelUsername, Password: target.SentinelPassword.Reveal(),
			TLSConfig: options.TLSConfig, MaxRetries: -1, DialTimeout: options.DialTimeout, ContextTimeoutEnabled: true})
		hint := askSentinel(ctx, c, addr, target.Master)
		_ = c.Close()
		if hint != "" {
			return hint
		}
	}
	return ""
}

func askSentinel(ctx context.Context, c *redis.SentinelClient, addr, master string) string {
	_, err := c.GetMasterAddrByName(ctx, master).Result()
	var answered redis.Error
	switch {
	case errors.Is(err, redis.Nil), errors.As(err, &answered) && strings.Contains(err.Error(), "No such master"):
	case errors.As(err, &answered):
		return fmt.Sprintf("the sentinel at %s answers: %.100s", addr, err)
	default:
		return ""
	}
	hint := fmt.Sprintf("the sentinel at %s knows no master of the name %q", addr, master)
	masters, err := c.Masters(ctx).Result()
	if err != nil {
		return hint
	}
	var names []string
	for _, m := range masters {
		names = append(names, nameOf(m))
	}
	return fmt.Sprintf("%s; it knows %q", hint, names)
}

// nameOf is a master's name in an answer of SENTINEL MASTERS, by either protocol.
func nameOf(master any) string {
	switch fields := master.(type) {
	case map[any]any:
		return fmt.Sprint(fields["name"])
	case []any:
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "name" {
				return fmt.Sprint(fields[i+1])
			}
		}
	}
	return "?"
}
