// Package certfile reads certificates from files, and reads them again when the files change.
//
// It guarantees that a valid value stays in use until another valid one replaces it, and that a changed file is used within CheckEvery, without
// a restart.
package certfile

import (
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

// ErrNoCertificate means that a file holds no certificate in PEM.
var ErrNoCertificate = errors.New("it holds no PEM certificate")

// Watched is a value read from files. It is safe for concurrent use.
type Watched[T any] struct {
	files []string
	read  func() (T, error)
	log   *slog.Logger

	mu      sync.Mutex
	current T
	marks   []mark
	checked time.Time
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
	}, certFile, keyFile)
}

// Pool reads the authorities to trust from a PEM file. The file may hold several, such as during the change from one to the next.
func Pool(file string, log *slog.Logger) (*Watched[*x509.CertPool], error) {
	return watch(log, func() (*x509.CertPool, error) { return ReadPool(file) }, file)
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

func watch[T any](log *slog.Logger, read func() (T, error), files ...string) (*Watched[T], error) {
	w := &Watched[T]{files: files, read: read, log: log, checked: time.Now()}
	// The marks are taken first: a change between the two steps is then noticed as one.
	marks, err := marksOf(files)
	if err == nil {
		w.current, err = read()
	}
	if err != nil {
		return nil, fmt.Errorf("read TLS files: %w", err)
	}
	w.marks = marks
	return w, nil
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
			w.current, w.marks = next, marks
			w.log.Info("a changed TLS file was read again", "file", w.files[0])
		}
	}
	if err != nil {
		w.log.Warn("a TLS file has changed and cannot be read; its previous contents stay in use", "file", w.files[0], "error", err)
	}
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
