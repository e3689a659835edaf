package main

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
	"time"
)

// secretCertName is the name in a certificate that is made of a LiveKit secret. It tells such a node from one with --tls-* files
// and proves nothing.
const secretCertName = "rollcall node by LiveKit secret"

// peerKeyInfo separates the key between nodes from every other use of the secret. Nodes with another text do not understand each other.
const peerKeyInfo = "rollcall node port v1"

// secretPeer is the talk between nodes that have no --tls-* files: TLS 1.3, each side proves that it has the LiveKit secret of one of the
// other's keys. A node shows the key of its own secret and accepts those of all that it has, so that a LiveKit key can be
// rotated node by node.
type secretPeer struct {
	own    tls.Certificate
	accept []ed25519.PublicKey
}

// newSecretPeer derives the keys. A LiveKit without a secret is an error.
func newSecretPeer(l LiveKitConfig) (*secretPeer, error) {
	if l.APISecret == "" {
		return nil, errors.New("--livekit-api-secret, LIVEKIT_API_SECRET: missing: nodes without --tls-* files know each other by it")
	}
	own, err := peerKey(l.APISecret)
	if err != nil {
		return nil, err
	}
	p := &secretPeer{}
	if p.own, err = selfSigned(own); err != nil {
		return nil, err
	}
	for _, secret := range l.WebhookKeys() {
		key, err := peerKey(secret)
		if err != nil {
			return nil, err
		}
		p.accept = append(p.accept, publicKey(key))
	}
	return p, nil
}

func peerKey(secret Secret) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, peerKeyInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key between nodes: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func publicKey(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey) // of that type by its documentation
	return public
}

// selfSigned carries the key. Nobody looks at its dates.
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
		Certificates:           []tls.Certificate{p.own},
		ClientAuth:             tls.RequireAnyClientCert,
		VerifyConnection:       p.verify,
		SessionTicketsDisabled: true,
	}
}

// config is for one connection. The host does not count: every node has the same secrets.
func (p *secretPeer) config(string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// There is no authority: VerifyConnection compares the key itself.
		InsecureSkipVerify: true,
		VerifyConnection:   p.verify,
		// Not Certificates: it would hold back a certificate that does not fit what the other side asks for.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &p.own, nil },
	}
}

// verify compares the other side's key, whose possession the handshake proves, with those of this node's secrets.
func (p *secretPeer) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("the other side shows no certificate: it is not a node")
	}
	cert := c.PeerCertificates[0]
	key, isEd := cert.PublicKey.(ed25519.PublicKey)
	for _, accepted := range p.accept {
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
