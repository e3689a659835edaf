// Package authority makes certificates by which nodes identify each other, for `rollcall cert` and for tests.
//
// It guarantees that a certificate it issues proves a node to its peers both as server and as client, for the hosts named and no others, and
// never lasts longer than the authority. Keys are ECDSA P-256. Everything is PEM in memory, except for MakeFiles, which is `rollcall cert`.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// backdate makes a certificate valid on machines whose clock is somewhat behind.
const backdate = time.Hour

var (
	// ErrNoAuthority means that a certificate or its key cannot sign others.
	ErrNoAuthority = errors.New("this is no authority's certificate with its ECDSA key")
	// ErrOutlives means that a certificate would last longer than its authority.
	ErrOutlives = errors.New("the certificate would last longer than its authority")
)

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Cert, Key []byte
}

// Authority signs the certificates of nodes.
type Authority struct {
	pair Pair
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority with that name, valid from now to until.
func New(name string, now, until time.Time) (*Authority, error) {
	pair, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil)
	if err != nil {
		return nil, err
	}
	return Load(pair)
}

// Load returns the authority that an earlier Pair holds. Errors: those of the PEM, and ErrNoAuthority.
func Load(pair Pair) (*Authority, error) {
	both, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	key, ok := both.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !both.Leaf.IsCA {
		return nil, ErrNoAuthority
	}
	return &Authority{pair: pair, cert: both.Leaf, key: key}, nil
}

// Pair returns what Load takes. Anyone who has its key can add nodes.
func (a *Authority) Pair() Pair { return a.pair }

// NotAfter returns when the authority expires.
func (a *Authority) NotAfter() time.Time { return a.cert.NotAfter }

// Issue makes the certificate of a node. hosts are the names and IP addresses by which others dial it. Errors: ErrOutlives.
func (a *Authority) Issue(name string, hosts []string, now, until time.Time) (Pair, error) {
	if until.After(a.cert.NotAfter) {
		return Pair{}, fmt.Errorf("%w, which ends on %s", ErrOutlives, a.cert.NotAfter.UTC().Format(time.DateOnly))
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return sign(template, a)
}

// sign makes a key and its certificate, signed by a, or self-signed if a is nil.
func sign(template *x509.Certificate, a *Authority) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	parent, parentKey := template, key
	if a != nil {
		parent, parentKey = a.cert, a.key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}
