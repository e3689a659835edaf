package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rollcallhq/rollcall/internal/certfile"
)

// peerTLS makes both sides of the talk between nodes: TLS 1.3, each side shows a certificate of the same authority, and the
// one who dials checks that the other's is for the host dialled. All three files are read again when they change; new
// connections use what is new. Without files both are nil.
func peerTLS(files PeerTLS, log *slog.Logger) (server *tls.Config, client *peerClient, err error) {
	if !files.Enabled() {
		return nil, nil, nil
	}
	pair, err := certfile.Pair(files.CertFile, files.KeyFile, log)
	if err != nil {
		return nil, nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	pool, err := certfile.Pool(files.CAFile, log)
	if err != nil {
		return nil, nil, fmt.Errorf("--tls-ca: %w", err)
	}
	return peerServer(pair, pool), &peerClient{pair: pair, pool: pool}, nil
}

func peerServer(pair *certfile.Watched[*tls.Certificate], pool *certfile.Watched[*x509.CertPool]) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
		// ClientCAs cannot be exchanged once servers have the configuration, so VerifyConnection is what verifies.
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: func(c tls.ConnectionState) error { return verifyPeer(c, pool.Get()) },
		// A resumed session would skip the look at a changed authority's certificates.
		SessionTicketsDisabled: true,
	}
}

// verifyPeer holds a caller's certificate to the authorities of this moment.
func verifyPeer(c tls.ConnectionState, authorities *x509.CertPool) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the other node shows no certificate: give it --tls-cert and --tls-key")
	}
	between := x509.NewCertPool()
	for _, cert := range c.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:         authorities,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("the other node's certificate: %w: it must be of an authority in --tls-ca, and not out of its time", err)
	}
	return nil
}

// peerClient is the side that dials. It is no *tls.Config, because the authorities of one cannot be exchanged while it is in
// use: a hook that verifies in their stead is told host names only, and not the IP address that was dialled.
type peerClient struct {
	pair *certfile.Watched[*tls.Certificate]
	pool *certfile.Watched[*x509.CertPool]
}

// config is for one connection to host, a name or an IP address without port. tls.Client refuses an empty one.
func (c *peerClient) config(host string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		RootCAs:              c.pool.Get(),
		ServerName:           host,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.pair.Get(), nil },
	}
}
