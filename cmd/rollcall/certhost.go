package main

import (
	"net/netip"
	"strings"
)

// goodCertHost says whether host can stand in a certificate: an IP address without zone, or a DNS name, whose first label may
// be a star.
func goodCertHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(strings.TrimPrefix(host, "*."), ".")
	numeric := true
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notInLabel) {
			return false
		}
		numeric = strings.Trim(label, "0123456789") == ""
	}
	// A last label of digits is a mistyped IP address.
	return len(host) <= 253 && !numeric
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
