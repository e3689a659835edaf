package daemon

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/internal/config"
)

// secretCertName is the name in a certificate that is derived from a LiveKit secret. It distinguishes such a node from one
// with --tls-* files and proves nothing.
const secretCertName = "rollcall node by LiveKit secret"

// peerKeyInfo separates the key between nodes from every other use of the secret. Nodes with a different value reject each
// other.
const peerKeyInfo = "rollcall node port v1"

// secretPeer secures the connections between nodes without --tls-* files: over TLS 1.3, each side proves that it has the
// LiveKit secret of one of the other's keys. A node presents the key of its own secret and accepts the keys of all its
// secrets, so that a LiveKit key can be rotated node by node.
type secretPeer struct{ keys atomic.Pointer[peerKeys] }

// peerKeys are the keys of one configuration.
type peerKeys struct {
	own    tls.Certificate
	accept []ed25519.PublicKey
}

// newSecretPeer returns a peer with the configuration's keys. A configuration without a secret is an error.
func newSecretPeer(l config.LiveKit) (*secretPeer, error) {
	keys, err := newPeerKeys(l)
	if err != nil {
		return nil, err
	}
	p := &secretPeer{}
	p.keys.Store(keys)
	return p, nil
}

// newPeerKeys derives the keys.
func newPeerKeys(l config.LiveKit) (*peerKeys, error) {
	if l.APISecret == "" {
		return nil, errors.New("--livekit-api-secret, LIVEKIT_API_SECRET: missing: nodes without --tls-* files know each other by it")
	}
	own, err := peerKey(l.APISecret.Reveal())
	if err != nil {
		return nil, err
	}
	p := &peerKeys{}
	if p.own, err = selfSigned(own); err != nil {
		return nil, err
	}
	for _, secret := range l.SigningKeys() {
		key, err := peerKey(secret)
		if err != nil {
			return nil, err
		}
		p.accept = append(p.accept, publicKey(key))
	}
	return p, nil
}

func peerKey(secret string) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, peerKeyInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key between nodes: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func publicKey(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey) // always that type, according to its documentation
	return public
}

// selfSigned returns a certificate that carries the key. Nobody checks its dates.
func selfSigned(key ed25519.PrivateKey) (tls.Certificate, error) {
	now := time.Now()
	form := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: secretCertName},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(100, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, publicKey(key), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the certificate between nodes: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (p *secretPeer) server() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &p.keys.Load().own, nil },
		ClientAuth:             tls.RequireAnyClientCert,
		VerifyConnection:       p.verify,
		SessionTicketsDisabled: true,
	}
}

// config returns the configuration for one connection. The host does not matter, because every node has the same secrets.
func (p *secretPeer) config(string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// There is no authority: VerifyConnection compares the key itself.
		InsecureSkipVerify: true,
		VerifyConnection:   p.verify,
		// GetClientCertificate instead of Certificates, which would withhold a certificate that does not match the other
		// side's request.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &p.keys.Load().own, nil },
	}
}

// verify compares the other side's key, whose possession the handshake proves, with the keys of this node's secrets.
func (p *secretPeer) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the other side shows no certificate: it is not a node")
	}
	cert := c.PeerCertificates[0]
	key, isEd := cert.PublicKey.(ed25519.PublicKey)
	for _, accepted := range p.keys.Load().accept {
		if isEd && accepted.Equal(key) {
			return nil
		}
	}
	if cert.Subject.CommonName == secretCertName {
		return errors.New("the other node has a LiveKit secret that this node does not have: give all nodes the same LIVEKIT_API_SECRET, " +
			"or name the other's in LIVEKIT_KEYS while a key rotates")
	}
	return errors.New("the other side shows a certificate of its own, and this node has no --tls-ca: give --tls-ca, --tls-cert and --tls-key to all nodes, or to none")
}
