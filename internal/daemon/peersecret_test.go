package daemon

import (
	"crypto/tls"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rollcallhq/rollcall/internal/config"
)

// secretNode returns a node with that secret and the further ones.
func secretNode(t *testing.T, own string, further ...string) *secretPeer {
	t.Helper()
	l := config.LiveKit{APIKey: "key", APISecret: config.Secret(own), Keys: map[string]config.Secret{}}
	for _, secret := range further {
		l.Keys["key of "+secret] = config.Secret(secret)
	}
	p, err := newSecretPeer(l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNodesKnowEachOtherByTheLiveKitSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, same, other := secretNode(t, "one secret"), secretNode(t, "one secret"), secretNode(t, "another secret")
		rotating, rotated := secretNode(t, "one secret", "another secret"), secretNode(t, "another secret", "one secret")
		ca := newAuthority(t)
		byFiles := newPeer(t, ca, ca, 365*day, "n1.example.org")
		forged := secretNode(t, "a stranger's secret")
		nobody := first.config("")
		nobody.GetClientCertificate = nil
		old := first.config("")
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		for name, tt := range map[string]struct {
			server, client *tls.Config
			refusal        string
		}{
			"the same secret":                 {first.server(), same.config("127.0.0.1"), ""},
			"another secret":                  {first.server(), other.config(""), "LIVEKIT_API_SECRET"},
			"before and while it rotates":     {first.server(), rotating.config(""), ""},
			"while it rotates, the other way": {rotating.server(), first.config(""), ""},
			"half way":                        {rotating.server(), rotated.config(""), ""},
			"half way, the other way":         {rotated.server(), rotating.config(""), ""},
			"after":                           {rotated.server(), other.config(""), ""},
			"a stranger":                      {first.server(), forged.config(""), "LIVEKIT_API_SECRET"},
			"a stranger that accepts":         {first.server(), accepting(forged), "LIVEKIT_API_SECRET"},
			"nobody":                          {first.server(), nobody, "didn't provide a certificate"},
			"TLS 1.2":                         {first.server(), old, "protocol version"},
			"files against a secret":          {byFiles.server, first.config("n1.example.org"), "or to none"},
			"a secret against files":          {first.server(), byFiles.client.config("n1.example.org"), "certificate"},
		} {
			err := talk(tt.server, tt.client)
			if tt.refusal == "" && err != nil || tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)) {
				t.Errorf("%s: %v, want %q", name, err, tt.refusal)
			}
		}
	})
}

// accepting returns a client that accepts every server.
func accepting(p *secretPeer) *tls.Config {
	c := p.config("")
	c.VerifyConnection = nil
	return c
}

// TestAStolenCertificateIsNoKey checks that the certificate alone, which every caller is shown, gives no access.
func TestAStolenCertificateIsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, thief := secretNode(t, "one secret"), secretNode(t, "another secret")
		thief.keys.Load().own.Certificate = node.keys.Load().own.Certificate
		if err := talk(node.server(), accepting(thief)); err == nil {
			t.Error("it was let in")
		}
	})
}

// TestNewSecretsBetweenNodes checks that a reload changes the key that a node shows and the keys that it accepts.
func TestNewSecretsBetweenNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after, changing := secretNode(t, "one secret"), secretNode(t, "another secret"), secretNode(t, "one secret")
		server := changing.server()
		changing.keys.Store(after.keys.Load())
		for name, tt := range map[string]struct {
			server, client *tls.Config
			ok             bool
		}{
			"dials the old":       {before.server(), changing.config(""), false},
			"dials the new":       {after.server(), changing.config(""), true},
			"answers the old":     {server, before.config(""), false},
			"answers the new":     {server, after.config(""), true},
			"answers a new start": {changing.server(), after.config(""), true},
		} {
			if err := talk(tt.server, tt.client); (err == nil) != tt.ok {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestPeerSecurity(t *testing.T) {
	livekit := config.LiveKit{APIKey: "key", APISecret: "secret"}
	for name, tt := range map[string]struct {
		c    config.Config
		want bool
	}{
		"alone":       {config.Config{LiveKit: livekit}, false},
		"with a port": {config.Config{LiveKit: livekit, NodeAddr: "127.0.0.1:7000"}, true},
		"insecure":    {config.Config{LiveKit: livekit, NodeAddr: "127.0.0.1:7000", Insecure: true}, false},
	} {
		server, client, err := peerSecurity(tt.c, noLog)
		if err != nil || (server != nil) != tt.want || (client != nil) != tt.want {
			t.Errorf("%s: %v %v %v", name, server, client, err)
		}
	}
	if _, _, err := peerSecurity(config.Config{NodeAddr: "127.0.0.1:7000"}, noLog); err == nil || !strings.Contains(err.Error(), "LIVEKIT_API_SECRET") {
		t.Errorf("without a secret: %v", err)
	}
}
