package daemon

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/internal/config"
)

// TestRedisURLForms checks URL forms that are not in the golden file of errors.
func TestRedisURLForms(t *testing.T) {
	for text, want := range map[string]string{
		"valkey://h":             "redis://h:6379/0",
		"valkeys://h:1/2":        "rediss://h:1/2",
		"valkey+cluster://a,b":   "redis+cluster://a:6379,b:6379",
		"valkeys+sentinel://a/m": "rediss+sentinel://a:26379/m/0",
		"redis://h\n":            "redis://h:6379/0",
		" redis://h\r\n":         "redis://h:6379/0",
		`"redis://h"`:            "redis://h:6379/0",
		"'redis://h'\n":          "redis://h:6379/0",
		"redis://[::1]:6379":     "redis://[::1]:6379/0",
		"redis://[::1]":          "redis://[::1]:6379/0",
	} {
		if target, err := config.ParseRedisURL(text); err != nil || target.String() != want {
			t.Errorf("%q: %s, %v; want %s", text, target, err, want)
		}
	}
	for text, words := range map[string]string{
		"redis://::1:6379": "in brackets", "redis://::1": "in brackets", "redis://fe80::1%eth0:6379": "in brackets", `""`: "nothing but", "\n": "nothing but",
		`"redis://h`: "unknown scheme", "valkey+://h": "unknown scheme",
	} {
		if target, err := config.ParseRedisURL(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %s, %v", text, target, err)
		}
	}
}

// tlsFiles are the files of an authority and of a certificate for 127.0.0.1 that it has issued.
type tlsFiles struct {
	ca, cert, key string
	pair          tls.Certificate
	pool          *x509.CertPool
}

func newTLSFiles(t *testing.T) (f tlsFiles) {
	t.Helper()
	now := time.Now()
	ca, err := authority.New("test", now.Add(-time.Hour), now.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("n1", []string{"127.0.0.1"}, now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f.ca, f.cert, f.key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, pem := range map[string][]byte{f.ca: ca.Pair().Cert, f.cert: pair.Cert, f.key: pair.Key} {
		if err := os.WriteFile(file, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if f.pair, err = tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
		t.Fatal(err)
	}
	f.pool = x509.NewCertPool()
	f.pool.AppendCertsFromPEM(ca.Pair().Cert)
	return f
}

// tryRedis opens a store and pings once. It returns what was logged, with the hint if that failed.
func tryRedis(t *testing.T, url string, files config.RedisTLS) (log string, err error) {
	t.Helper()
	target, err := config.ParseRedisURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config{Redis: target, RedisTLS: files}
	store, err := openStore(c, target, "n1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err = store.Ping(ctx); err != nil {
		logRedisError(ctx, c, target, err, slog.New(slog.NewTextHandler(&out, nil)))
	}
	return out.String(), err
}

// TestRedisWithTLS checks a Redis with an authority of its own, and one that requires client certificates, and that the log
// says what is missing.
func TestRedisWithTLS(t *testing.T) {
	files := newTLSFiles(t)
	start := func(auth tls.ClientAuthType) string {
		m := miniredis.NewMiniRedis()
		if err := m.StartTLS(&tls.Config{Certificates: []tls.Certificate{files.pair}, ClientCAs: files.pool, ClientAuth: auth}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m.Addr()
	}
	open, strict := start(tls.NoClientCert), start(tls.RequireAndVerifyClientCert)
	plain := miniredis.RunT(t).Addr()
	all := config.RedisTLS{CAFile: files.ca, CertFile: files.cert, KeyFile: files.key}
	for _, c := range []struct {
		url   string
		files config.RedisTLS
		hint  string // "" works
	}{
		{"rediss://" + open, config.RedisTLS{CAFile: files.ca}, ""},
		{"valkeys://" + strict, all, ""},
		{"redis://" + plain, config.RedisTLS{}, ""},
		{"rediss://" + open, config.RedisTLS{}, "--redis-tls-ca"},
		{"rediss://" + strict, config.RedisTLS{CAFile: files.ca}, "--redis-tls-cert"},
		{"redis://" + open, config.RedisTLS{}, "begins with rediss"},
	} {
		log, err := tryRedis(t, c.url, c.files)
		if (err == nil) != (c.hint == "") || !strings.Contains(log, c.hint) {
			t.Errorf("%s with %+v: %v\n%s", c.url, c.files, err, log)
		}
	}
	if log, err := tryRedis(t, "rediss://"+rude(t), config.RedisTLS{}); err == nil || !strings.Contains(log, "does not speak TLS") {
		t.Errorf("TLS to a port without: %v\n%s", err, log)
	}
}

// rude answers everything like a Redis without TLS.
func rude(t *testing.T) string {
	return listen(t, func(conn net.Conn) {
		buf := make([]byte, 1)
		_, _ = io.ReadFull(conn, buf)
		_, _ = io.WriteString(conn, "-ERR unknown command\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
}

func listen(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); serve(conn) }()
		}
	}()
	return l.Addr().String()
}

// TestASentinelWithoutThatMaster checks that the log names the sentinel and the masters that it has.
func TestASentinelWithoutThatMaster(t *testing.T) {
	addr := listen(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			answer := ""
			switch strings.ToLower(strings.TrimSpace(line)) {
			case "hello", "client", "auth":
				answer = "-ERR unknown command\r\n"
			case "get-master-addr-by-name":
				answer = "*-1\r\n"
			case "masters":
				answer = "*1\r\n*4\r\n$4\r\nname\r\n$5\r\nright\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"
			}
			if _, err := io.WriteString(conn, answer); err != nil {
				return
			}
		}
	})
	log, err := tryRedis(t, fmt.Sprintf("redis+sentinel://%s/wrong", addr), config.RedisTLS{})
	if err == nil || !strings.Contains(log, addr) || !strings.Contains(log, "wrong") || !strings.Contains(log, "right") {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestTellPolicy(t *testing.T) {
	for policy, words := range map[string]string{"noeviction": "", "volatile-lru": "volatile-lru", "unknown": "could not be looked up"} {
		var out bytes.Buffer
		logPolicy(slog.New(slog.NewTextHandler(&out, nil)), policy)
		if (out.Len() > 0) != (words != "") || !strings.Contains(out.String(), words) {
			t.Errorf("%s: %q", policy, out.String())
		}
	}
}
