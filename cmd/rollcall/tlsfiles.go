package main

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/rollcallhq/rollcall/internal/certfile"
)

// PeerTLS are the files by which nodes know each other; all or none are set.
type PeerTLS struct {
	CAFile, CertFile, KeyFile string
}

// Enabled says whether nodes talk by TLS.
func (t PeerTLS) Enabled() bool { return t.CAFile != "" && t.CertFile != "" && t.KeyFile != "" }

// HTTPTLS are the files of the public listener; both or none are set.
type HTTPTLS struct {
	CertFile, KeyFile string
}

// checkTLS reports files that are missing or do not load.
func checkTLS(c *Config, report func(name, problem string)) {
	peers := []fileFlag{{"tls-ca", c.PeerTLS.CAFile}, {"tls-cert", c.PeerTLS.CertFile}, {"tls-key", c.PeerTLS.KeyFile}}
	if complete(peers, report) {
		if _, err := certfile.ReadPool(c.PeerTLS.CAFile); err != nil {
			report("tls-ca", fmt.Sprintf("%v: give a readable PEM file with the authority's certificate", err))
		}
		checkPair(peers[1], peers[2], report)
	}
	checkRedisTLS(c, report)
	public := []fileFlag{{"http-tls-cert", c.HTTPTLS.CertFile}, {"http-tls-key", c.HTTPTLS.KeyFile}}
	if complete(public, report) {
		checkPair(public[0], public[1], report)
	}
}

type fileFlag struct{ name, file string }

// complete says whether all are set, and reports the missing ones of some.
func complete(files []fileFlag, report func(name, problem string)) bool {
	var given string
	missing := 0
	for _, f := range files {
		if f.file == "" {
			missing++
		} else {
			given = f.name
		}
	}
	if given == "" || missing == 0 {
		return given != ""
	}
	for _, f := range files {
		if f.file == "" {
			report(f.name, fmt.Sprintf("missing: --%s needs it; give the path of a PEM file", given))
		}
	}
	return false
}

func checkPair(cert, key fileFlag, report func(name, problem string)) {
	for _, f := range []fileFlag{cert, key} {
		if _, err := os.ReadFile(f.file); err != nil {
			report(f.name, fmt.Sprintf("%v: give the path of a readable PEM file", err))
			return
		}
	}
	if _, err := tls.LoadX509KeyPair(cert.file, key.file); err != nil {
		report(cert.name, fmt.Sprintf("%v: give a PEM certificate, and its own key in --%s", err, key.name))
	}
}
