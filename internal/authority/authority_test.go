package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

func TestIssuedCertificatesHoldForTheirHostsOnly(t *testing.T) {
	now := time.Now()
	a, err := New("test", now, now.Add(48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if a, err = Load(a.Pair()); err != nil {
		t.Fatal(err)
	}
	pair, err := a.Issue("n1", []string{"n1.example.org", "10.0.0.1", "::1"}, now, now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	node, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.Pair().Cert)
	for _, tt := range []struct {
		host string
		at   time.Time
		good bool
	}{
		{"n1.example.org", now, true}, {"10.0.0.1", now, true}, {"::1", now, true},
		{"n1", now, false}, {"10.0.0.2", now, false}, {"localhost", now, false},
		{"n1.example.org", now.Add(-30 * time.Minute), true},
		{"n1.example.org", now.Add(25 * time.Hour), false},
	} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := node.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tt.host, CurrentTime: tt.at, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != tt.good {
				t.Errorf("%s at %s, usage %v: %v", tt.host, tt.at, usage, err)
			}
		}
	}
}

func TestAuthorityRefuses(t *testing.T) {
	now := time.Now()
	a, err := New("test", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Issue("n1", nil, now, now.Add(2*time.Hour)); !errors.Is(err, ErrOutlives) {
		t.Errorf("longer than the authority: %v", err)
	}
	pair, err := a.Issue("n1", nil, now, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(pair); !errors.Is(err, ErrNoAuthority) {
		t.Errorf("a node as an authority: %v", err)
	}
	if _, err := Load(Pair{Cert: a.Pair().Cert, Key: pair.Key}); err == nil {
		t.Error("an authority with another's key was taken")
	}
}
