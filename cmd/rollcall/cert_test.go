package main

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/rollcallhq/rollcall/internal/certfile"
)

// TestCertsTalk does a handshake with the files of `rollcall cert`, as nodes do: each side verifies the other's certificate
// against the authority.
func TestCertsTalk(t *testing.T) {
	dir := t.TempDir()
	if o := command(t, deps{}, nil, "cert", "--dir", dir, "n1=10.0.0.1", "n2"); o.code != exitDone {
		t.Fatalf("%+v", o)
	}
	pool, err := certfile.ReadPool(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string) []tls.Certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}
	talk := func(host string) error {
		near, far := net.Pipe()
		defer near.Close()
		served := make(chan error, 1)
		go func() {
			defer far.Close()
			served <- tls.Server(far, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: pair("n1"), ClientAuth: tls.RequireAndVerifyClientCert,
				ClientCAs: pool}).HandshakeContext(t.Context())
		}()
		err := tls.Client(near, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: pair("n2"), RootCAs: pool, ServerName: host}).HandshakeContext(t.Context())
		if err != nil {
			near.Close()
		}
		return errors.Join(err, <-served)
	}
	if err := talk("10.0.0.1"); err != nil {
		t.Error(err)
	}
	if err := talk("localhost"); err == nil {
		t.Error("a node with hosts answers to localhost too")
	}
}
