package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rollcallhq/rollcall/internal/certfile"
	"github.com/rollcallhq/rollcall/internal/config"
)

// peerDialer is the TLS side that dials another node.
type peerDialer interface {
	// config returns the configuration for one connection to host, a name or an IP address without port.
	config(host string) *tls.Config
}

// peerSecurity returns both sides of TLS between nodes, from the --tls-* files or else from the LiveKit secrets, which all
// nodes have. Both are nil for a node without a node port, and with --insecure and no files.
func peerSecurity(c config.Config, log *slog.Logger) (server *tls.Config, client peerDialer, err error) {
	switch {
	case c.NodeAddr == "":
		return nil, nil, nil
	case c.PeerTLS.Enabled():
		return peerTLS(c.PeerTLS, log)
	case c.Insecure:
		return nil, nil, nil
	}
	shared, err := newSecretPeer(c.LiveKit)
	if err != nil {
		return nil, nil, err
	}
	return shared.server(), shared, nil
}

// peerTLS returns both sides of TLS from files: over TLS 1.3, each side presents a certificate of the same authority, and
// the dialling side checks that the other's certificate is for the host that it dialled. All three files are read again when
// they change, and new connections use the new contents.
func peerTLS(files config.PeerTLS, log *slog.Logger) (server *tls.Config, client *peerClient, err error) {
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
		// ClientCAs cannot be replaced while servers use the configuration, so VerifyConnection does the verification.
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: func(c tls.ConnectionState) error { return verifyPeer(c, pool.Get()) },
		// A resumed session would skip the verification against changed authorities.
		SessionTicketsDisabled: true,
	}
}

// verifyPeer checks a caller's certificate against the current authorities.
func verifyPeer(c tls.ConnectionState, authorities *x509.CertPool) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the other node shows no certificate: give it --tls-cert and --tls-key")
	}
	between := x509.NewCertPool()
	for _, cert := range c.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	if c.PeerCertificates[0].Subject.CommonName == secretCertName {
		return errors.New("the other node has no --tls-* files and shows the key of its LiveKit secret: give --tls-ca, --tls-cert and --tls-key to all nodes, or to none")
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

// peerClient is the dialling side. It is not a *tls.Config, because its authorities cannot be replaced while it is in use: a
// hook that verifies instead is given host names only, and not the IP address that was dialled.
type peerClient struct {
	pair *certfile.Watched[*tls.Certificate]
	pool *certfile.Watched[*x509.CertPool]
}

// config returns the configuration for one connection to host, a name or an IP address without port. tls.Client refuses an
// empty host.
func (c *peerClient) config(host string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		RootCAs:              c.pool.Get(),
		ServerName:           host,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.pair.Get(), nil },
	}
}
