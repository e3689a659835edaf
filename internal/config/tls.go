package config

import (
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/rollcallhq/rollcall/internal/certfile"
)

// PeerTLS are the files with which nodes authenticate each other; all or none are set.
type PeerTLS struct {
	CAFile, CertFile, KeyFile string
}

// Enabled reports whether nodes use TLS with these files.
func (t PeerTLS) Enabled() bool { return t.CAFile != "" && t.CertFile != "" && t.KeyFile != "" }

// HTTPTLS are the files of the public listener; both or none are set.
type HTTPTLS struct {
	CertFile, KeyFile string
}

// checkTLS reports files that are missing or do not load.
func checkTLS(c *Config, report func(name, problem string)) {
	peers := []fileFlag{{"tls-ca", c.PeerTLS.CAFile}, {"tls-cert", c.PeerTLS.CertFile}, {"tls-key", c.PeerTLS.KeyFile}}
	if complete(peers, report) {
		if _, err := certfile.ReadPool(c.PeerTLS.CAFile); err != nil {
			report("tls-ca", fmt.Sprintf("%v: give a readable PEM file with the authority's certificate", err))
		}
		checkPair(peers[1], peers[2], report)
		// Without a valid certificate no other node talks to this one.
		if text, expired := expiry(c.PeerTLS.CertFile, c.PeerTLS.KeyFile); expired {
			report("tls-cert", text)
		}
	}
	checkRedisTLS(c, report)
	public := []fileFlag{{"http-tls-cert", c.HTTPTLS.CertFile}, {"http-tls-key", c.HTTPTLS.KeyFile}}
	if complete(public, report) {
		checkPair(public[0], public[1], report)
	}
}

type fileFlag struct{ name, file string }

// complete reports whether all files are set. If only some are, it reports the missing ones to report.
func complete(files []fileFlag, report func(name, problem string)) bool {
	var given string
	missing := 0
	for _, f := range files {
		if f.file == "" {
			missing++
		} else {
			given = f.name
		}
	}
	if given == "" || missing == 0 {
		return given != ""
	}
	for _, f := range files {
		if f.file == "" {
			report(f.name, fmt.Sprintf("missing: --%s needs it; give the path of a PEM file", given))
		}
	}
	return false
}

func checkPair(cert, key fileFlag, report func(name, problem string)) {
	for _, f := range []fileFlag{cert, key} {
		if _, err := os.ReadFile(f.file); err != nil {
			report(f.name, fmt.Sprintf("%v: give the path of a readable PEM file", err))
			return
		}
	}
	if _, err := tls.LoadX509KeyPair(cert.file, key.file); err != nil {
		report(cert.name, fmt.Sprintf("%v: give a PEM certificate, and its own key in --%s", err, key.name))
	}
}

// expiry says that a certificate has expired or will soon; "" for others, and for files that do not load.
func expiry(cert, key string) (text string, expired bool) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return "", false
	}
	return certfile.Expiry(cert, certfile.NotAfter(&pair), time.Now())
}

// expiryWarnings returns a line for each certificate that expires soon, and for that of HTTP also if it has expired: syncs need no webhooks.
func expiryWarnings(c *Config) (lines []string) {
	if text, expired := expiry(c.PeerTLS.CertFile, c.PeerTLS.KeyFile); text != "" && !expired {
		lines = append(lines, "--tls-cert: "+text)
	}
	if text, _ := expiry(c.HTTPTLS.CertFile, c.HTTPTLS.KeyFile); text != "" {
		lines = append(lines, "--http-tls-cert: "+text)
	}
	return lines
}

// RedisTLS are the files for the connection to Redis; without CAFile the system's authorities apply.
type RedisTLS struct{ CAFile, CertFile, KeyFile string }

// checkRedisTLS reports files that are missing, do not load, or are not used.
func checkRedisTLS(c *Config, report func(name, problem string)) {
	ca := fileFlag{"redis-tls-ca", c.RedisTLS.CAFile}
	pair := []fileFlag{{"redis-tls-cert", c.RedisTLS.CertFile}, {"redis-tls-key", c.RedisTLS.KeyFile}}
	if c.Redis.Mode != "" && !c.Redis.TLS { // without a mode the URL is wrong, which has been reported
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
