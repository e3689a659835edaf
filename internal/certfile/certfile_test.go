package certfile

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

var quiet = slog.New(slog.DiscardHandler)

// pairFor returns a self-signed pair with that name.
func pairFor(t *testing.T, name string) authority.Pair {
	t.Helper()
	now := time.Now()
	a, err := authority.New(name, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return a.Pair()
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPairIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	synctest.Test(t, func(t *testing.T) {
		first, second := pairFor(t, "first.example"), pairFor(t, "second-and-longer.example")
		write(t, cert, first.Cert)
		write(t, key, first.Key)
		pair, err := Pair(cert, key, quiet)
		if err != nil {
			t.Fatal(err)
		}
		want := func(name, when string) {
			t.Helper()
			if got := pair.Get().Leaf.Subject.CommonName; got != name {
				t.Errorf("%s: %s, want %s", when, got, name)
			}
		}
		write(t, cert, []byte("half a file"))
		time.Sleep(CheckEvery)
		want("first.example", "a broken file")
		write(t, cert, second.Cert)
		time.Sleep(CheckEvery)
		want("first.example", "a certificate whose key has not come yet")
		write(t, key, second.Key)
		want("first.example", "at once")
		time.Sleep(CheckEvery)
		want("second-and-longer.example", "both files are there")
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(CheckEvery)
		want("second-and-longer.example", "a file is gone")
	})
}

func TestPoolIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	synctest.Test(t, func(t *testing.T) {
		old, next := pairFor(t, "old"), pairFor(t, "next")
		write(t, file, old.Cert)
		pool, err := Pool(file, quiet)
		if err != nil {
			t.Fatal(err)
		}
		both := bytes.Join([][]byte{old.Cert, next.Cert}, nil)
		write(t, file, both)
		time.Sleep(CheckEvery)
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(both)
		if !pool.Get().Equal(want) {
			t.Error("the authorities are not those of the file")
		}
	})
}

func TestFirstReadMustSucceed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "empty.pem")
	write(t, file, nil)
	if _, err := Pool(file, quiet); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Pool(file+"x", quiet); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Pair(file, file, quiet); err == nil {
		t.Error("an empty pair was taken")
	}
}

// TestExpiryIsReported checks what is logged while a certificate comes to its end, and after its replacement.
func TestExpiryIsReported(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	synctest.Test(t, func(t *testing.T) {
		show := func(lasts time.Duration) {
			a, err := authority.New("n", time.Now(), time.Now().Add(lasts))
			if err != nil {
				t.Fatal(err)
			}
			write(t, cert, a.Pair().Cert)
			write(t, key, a.Pair().Key)
		}
		const day = 24 * time.Hour
		var log bytes.Buffer
		want := func(when string, parts ...string) {
			t.Helper()
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if log.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(parts) {
				t.Errorf("%s: %q", when, lines)
				return
			}
			for i, part := range parts {
				if !strings.Contains(lines[i], part) {
					t.Errorf("%s: %q does not hold %q", when, lines[i], part)
				}
			}
			log.Reset()
		}
		show(31 * day)
		pair, err := Pair(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		want("31 days before")
		time.Sleep(2 * day)
		pair.Get()
		pair.Get()
		want("29 days before", "level=WARN msg=\"the certificate in "+cert+" expires on 2000-02-01 00:00 UTC, in 29.0 days")
		time.Sleep(CheckEvery)
		pair.Get()
		want("10 s later")
		time.Sleep(29 * day)
		pair.Get()
		want("after its end", "level=ERROR msg=\"the certificate in "+cert+" expired on 2000-02-01 00:00 UTC")
		show(29 * day)
		time.Sleep(CheckEvery)
		pair.Get()
		want("a replacement that soon ends", "read again", "level=WARN")
	})
}
