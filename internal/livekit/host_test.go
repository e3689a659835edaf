package livekit

import (
	"strings"
	"testing"
)

func TestHostURL(t *testing.T) {
	for host, want := range map[string]string{
		"project.livekit.cloud":        "https://project.livekit.cloud",
		" wss://project.livekit.cloud": "https://project.livekit.cloud",
		"WSS://Project.LiveKit.cloud/": "https://Project.LiveKit.cloud",
		"ws://127.0.0.1:7880":          "http://127.0.0.1:7880",
		"http://localhost:7880/":       "http://localhost:7880",
		"https://example.com/lk//":     "https://example.com/lk",
		"localhost:7880":               "https://localhost:7880",
		"10.0.0.1":                     "https://10.0.0.1",
		"[::1]:7880":                   "https://[::1]:7880",
		"wsgateway.example.com":        "https://wsgateway.example.com",
	} {
		if got, err := HostURL(host); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", host, got, err, want)
		}
	}
	for _, host := range []string{
		"", " ", "ftp://host", "unix:///sock", "://host", "https://", "https://:443", "http://user:hunter2@host", "host?token=hunter2",
		"https://host/#hunter2", "host:port", "ho st", "https://host/%zz", "http://[::1", "ho\nst", "redis://:hunter2@host",
	} {
		if got, err := HostURL(host); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %q, %v", host, got, err)
		}
	}
}
