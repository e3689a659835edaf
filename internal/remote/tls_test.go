package remote_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/remote"
)

// authority is a CA.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = a.newKey()
	raw, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	a.must(err)
	a.cert, err = x509.ParseCertificate(raw)
	a.must(err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	return a
}

func (a *authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	return key
}

// node is the Setup of a node on loopback that trusts the CA and has a certificate of by's.
func (a *authority) node(by *authority) func(*Setup) {
	key := by.newKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	by.must(err)
	private, err := x509.MarshalECPrivateKey(key)
	by.must(err)
	return func(s *Setup) {
		s.CA = a.pem
		s.Cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
		s.Key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
	}
}

// tlsOf gives both sides' configuration.
func tlsOf(s Setup) (server, client *tls.Config) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	cert, err := tls.X509KeyPair(s.Cert, s.Key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
		&tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}
}

func TestOnlyPeersWithACertificateOfTheCAMayCall(t *testing.T) {
	t.Parallel()
	ca, foreign := newAuthority(t), newAuthority(t)
	a, b := open(t, ca.node(ca)), open(t, ca.node(ca))
	if err := a.to(b).Deliver(within(t, 10*time.Second), event("welcome")); err != nil {
		t.Fatal(err)
	}
	impatient := func(s *Setup) { s.Wait = -1 }
	for name, intruder := range map[string]*node{
		"a certificate of another CA": open(t, ca.node(foreign), impatient),
		"no TLS at all":               open(t, impatient),
	} {
		if err := intruder.to(b).Deliver(within(t, 10*time.Second), event("intruder")); !errors.Is(err, actors.ErrUnavailable) {
			t.Errorf("with %s: %v", name, err)
		}
		// Nor does a node tell anything to what is not one.
		if err := a.to(intruder).Deliver(within(t, time.Second), event("secret")); !errors.Is(err, actors.ErrUnavailable) {
			t.Errorf("to one with %s: %v", name, err)
		}
		if b.saw("intruder") || intruder.saw("secret") {
			t.Error("it was delivered with", name)
		}
	}
}

func TestOpenRefusesHalfOfTLS(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]remote.Config{
		"both sides":             {ServerTLS: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}},
		"demand the peers' cert": {ServerTLS: &tls.Config{}, ClientTLS: credentials.NewTLS(&tls.Config{})},
	} {
		c.Listen = "127.0.0.1:0"
		if _, err := remote.Open(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestAddressThatCannotBeListenedOn(t *testing.T) {
	t.Parallel()
	a := open(t)
	for _, addr := range []string{"nowhere", a.addr} {
		n := start(t)
		if err := n.rpc.Call("Node.Open", Setup{Listen: addr}, &n.addr); err == nil {
			t.Errorf("listens on %q", addr)
		}
	}
}
