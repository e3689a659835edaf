package httpapi

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certCheckEvery is how long a changed certificate may go unnoticed.
const certCheckEvery = 10 * time.Second

// certs gives the certificate of two files, and reads them again when they have changed. A pair that cannot be read leaves
// the last good one in use.
type certs struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]fileMark
	checked time.Time
}

type fileMark struct {
	changed time.Time
	size    int64
}

// newCerts reads the pair for the first time.
func newCerts(certFile, keyFile string, log *slog.Logger) (*certs, error) {
	c := &certs{certFile: certFile, keyFile: keyFile, log: log, checked: time.Now()}
	var err error
	if c.read, err = c.marks(); err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	return c, nil
}

func (c *certs) marks() (m [2]fileMark, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return m, err
		}
		m[i] = fileMark{info.ModTime(), info.Size()}
	}
	return m, nil
}

func (c *certs) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current = &pair
	return nil
}

// get is tls.Config's GetCertificate.
func (c *certs) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certCheckEvery {
		return c.current, nil
	}
	c.checked = time.Now()
	marks, err := c.marks()
	if err == nil && marks != c.read {
		if err = c.load(); err == nil {
			c.read = marks
			c.log.Info("the TLS certificate was read anew", "file", c.certFile)
		}
	}
	if err != nil {
		c.log.Warn("the TLS certificate has changed and cannot be read; the old one stays", "err", err)
	}
	return c.current, nil
}
