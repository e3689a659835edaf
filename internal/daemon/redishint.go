package daemon

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
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// applyRedisTLS applies the files to the connection's options. The certificate is read again when its files change, the
// authority at the next start.
func applyRedisTLS(f config.RedisTLS, o *redis.UniversalOptions, log *slog.Logger) error {
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

// redisHint says what an operator may have to change, judging by how the first attempt failed. It returns "" if the error
// says enough.
func redisHint(ctx context.Context, target config.RedisTarget, options *redis.UniversalOptions, err error) string {
	var noTLS tls.RecordHeaderError
	var stranger x509.UnknownAuthorityError
	var alert tls.AlertError
	switch {
	case errors.Is(err, redisstore.ErrClusterNode):
		cluster := target
		cluster.Mode, cluster.DB = config.RedisCluster, 0
		return "give its URL as a Cluster's: " + cluster.String()
	case errors.As(err, &noTLS):
		return "this port does not speak TLS: give a URL that begins with redis, or the port for TLS"
	case errors.As(err, &stranger):
		return "its certificate is of an authority that this machine does not know: give that one's certificate in --redis-tls-ca"
	case errors.As(err, &alert) && target.TLS, target.TLS && strings.Contains(err.Error(), "tls: "):
		return "TLS fails: if Redis asks for a client's certificate, give --redis-tls-cert and --redis-tls-key"
	case target.Mode == config.RedisSentinel:
		return sentinelHint(ctx, target, options)
	case !target.TLS && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return "it ends the connection without an answer: if this port speaks TLS, give a URL that begins with rediss"
	}
	return ""
}

// sentinelHint asks the sentinels themselves, because the client only says that none could be used.
func sentinelHint(ctx context.Context, target config.RedisTarget, options *redis.UniversalOptions) string {
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

// nameOf returns a master's name from an answer of SENTINEL MASTERS, in either protocol version.
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
