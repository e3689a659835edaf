package livekit

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// HostURL turns LIVEKIT_HOST into the base URL of LiveKit's API, without a trailing slash: ws and wss become http and https, and a bare host,
// with or without a port, means https. Errors do not repeat the value, which may hold a password.
func HostURL(host string) (string, error) {
	host = strings.TrimSpace(host)
	if host == "" {
		return "", errors.New("the LiveKit host is empty")
	}
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	u, err := url.Parse(host)
	if err != nil {
		return "", errors.New("the LiveKit host is neither a host nor a URL")
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return "", fmt.Errorf("the LiveKit host has the scheme %q: use wss, ws, https, http or none", u.Scheme)
	}
	switch {
	case u.Hostname() == "":
		return "", errors.New("the LiveKit host's URL names no host")
	case u.User != nil:
		return "", errors.New("the LiveKit host's URL holds a user or password: use the API key and secret instead")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("the LiveKit host's URL has a query or fragment: leave it out")
	}
	base := strings.TrimRight(u.String(), "/")
	if _, err := url.Parse(base); err != nil { // ws://:: is a valid URL, http://:: is not
		return "", errors.New("the LiveKit host is neither a host nor a URL")
	}
	return base, nil
}
