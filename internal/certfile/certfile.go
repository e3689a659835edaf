// Package certfile reads certificates from files, and reads them again when the files change.
//
// It guarantees that a valid value stays in use until another valid one replaces it, and that a changed file is used within CheckEvery, without
// a restart.
package certfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// CheckEvery is how long a changed file may go unnoticed.
const CheckEvery = 10 * time.Second

// Soon is how long before its end a certificate is reported, and reportEvery how often that is logged.
const (
	Soon        = 30 * 24 * time.Hour
	reportEvery = 24 * time.Hour
)

// ErrNoCertificate means that a file holds no certificate in PEM.
var ErrNoCertificate = errors.New("it holds no PEM certificate")

// Watched is a value read from files. It is safe for concurrent use.
type Watched[T any] struct {
	files    []string
	read     func() (T, error)
	notAfter func(T) time.Time // nil for what has no one end
	log      *slog.Logger

	mu       sync.Mutex
	current  T
	marks    []mark
	checked  time.Time
	reported time.Time
}

// mark identifies one state of a file.
type mark struct {
	changed time.Time
	size    int64
}

// Pair reads a certificate and its key, both PEM files.
func Pair(certFile, keyFile string, log *slog.Logger) (*Watched[*tls.Certificate], error) {
	return watch(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &pair, err
	}, NotAfter, certFile, keyFile)
}

// NotAfter returns when the first certificate of a chain expires.
func NotAfter(pair *tls.Certificate) time.Time {
	end := pair.Leaf.NotAfter
	for _, der := range pair.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil && cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}

// Expiry says that the certificate in a file has expired, or that it expires within Soon. For any other certificate it returns "".
func Expiry(file string, notAfter, now time.Time) (text string, expired bool) {
	const remedy = "replace the file and its key, which are read again within 10 s (docs/clustering.md, Renew the certificates)"
	left, on := notAfter.Sub(now), notAfter.UTC().Format("2006-01-02 15:04 MST")
	switch {
	case left <= 0:
		return fmt.Sprintf("the certificate in %s expired on %s: %s", file, on, remedy), true
	case left < Soon:
		return fmt.Sprintf("the certificate in %s expires on %s, in %.1f days: %s", file, on, left.Hours()/24, remedy), false
	}
	return "", false
}

// Pool reads the authorities to trust from a PEM file. The file may hold several, such as during the change from one to the next.
func Pool(file string, log *slog.Logger) (*Watched[*x509.CertPool], error) {
	return watch(log, func() (*x509.CertPool, error) { return ReadPool(file) }, nil, file)
}

// ReadPool reads a PEM file of authorities once. Errors: the file's, and ErrNoCertificate.
func ReadPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authority %q: %w", file, ErrNoCertificate)
	}
	return pool, nil
}

func watch[T any](log *slog.Logger, read func() (T, error), notAfter func(T) time.Time, files ...string) (*Watched[T], error) {
	w := &Watched[T]{files: files, read: read, notAfter: notAfter, log: log, checked: time.Now()}
	// The marks are taken first: a change between the two steps is then noticed as one.
	marks, err := marksOf(files)
	if err == nil {
		w.current, err = read()
	}
	if err != nil {
		return nil, fmt.Errorf("read TLS files: %w", err)
	}
	w.marks = marks
	w.reportExpiry()
	return w, nil
}

// reportExpiry logs, at most every reportEvery, that the certificate has expired or will soon.
func (w *Watched[T]) reportExpiry() {
	if w.notAfter == nil || time.Since(w.reported) < reportEvery {
		return
	}
	text, expired := Expiry(w.files[0], w.notAfter(w.current), time.Now())
	if text == "" {
		return
	}
	level := slog.LevelWarn
	if expired {
		level = slog.LevelError
	}
	w.reported = time.Now()
	w.log.Log(context.Background(), level, text)
}

// Get returns the value of the files as they were at most CheckEvery ago, or the last valid one.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.checked) < CheckEvery {
		return w.current
	}
	w.checked = time.Now()
	marks, err := marksOf(w.files)
	if err == nil && !slices.Equal(marks, w.marks) {
		var next T
		if next, err = w.read(); err == nil {
			w.current, w.marks, w.reported = next, marks, time.Time{}
			w.log.Info("a changed TLS file was read again", "file", w.files[0])
		}
	}
	if err != nil {
		w.log.Warn("a TLS file has changed and cannot be read; its previous contents stay in use", "file", w.files[0], "error", err)
	}
	w.reportExpiry()
	return w.current
}

func marksOf(files []string) ([]mark, error) {
	marks := make([]mark, len(files))
	for i, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		marks[i] = mark{info.ModTime(), info.Size()}
	}
	return marks, nil
}
