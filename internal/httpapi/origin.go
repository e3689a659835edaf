package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// private reports whether a request comes from a program or a page on this machine: the peer is loopback; the Host is
// loopback by name, so that a name that a foreign page rebound to 127.0.0.1 does not count; no proxy has added a header; and
// no page of another origin sent it.
func private(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && loopbackHost(r.Host) && !forwarded(r.Header) && !crossSite(r)
}

// loopbackHost judges the name alone and does no lookup.
func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// forwarded reports whether a proxy forwarded the request. Header names are in canonical form by now. The list holds no
// header that programs send on their own, so a superfluous entry costs a local caller nothing.
func forwarded(h http.Header) bool {
	for name := range h {
		if slices.Contains(proxyHeaders(), name) || slices.ContainsFunc(proxyPrefixes(), func(p string) bool { return strings.HasPrefix(name, p) }) {
			return true
		}
	}
	return false
}

// proxyHeaders returns the headers that proxies, load balancers, CDNs and tunnels add to name the client they ask for.
func proxyHeaders() []string {
	return []string{"Via", "Forwarded", "Forwarded-For", "Forwarded-Proto", "Forwarded-Host", "True-Client-Ip", "Client-Ip", "Remote-Addr", "Real-Ip",
		"X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Remote-User", "X-Proxyuser-Ip", "X-Host", "X-Scheme",
		"X-Proxy-Id", "Proxy-Connection", "Max-Forwards", "Cdn-Loop", "Fastly-Ff", "X-Varnish", "X-Http-Via", "X-Appengine-User-Ip",
		"X-Nginx-Proxy", "X-Request-Start", "X-Url-Scheme", "Front-End-Https", "Ssl-Client-Verify", "X-Ssl-Client-Verify", "X-Ssl-Client-Cert",
		"X-Arr-Ssl", "X-Arr-Log-Id", "X-Waws-Unencoded-Url", "X-Rewrite-Url", "X-Sendfile-Type", "X-Github-Request-Id"}
}

// proxyPrefixes returns the prefixes of families of such headers: the standard's older names, and those of Cloudflare,
// Fastly, Akamai, AWS, Azure, Google, Envoy, Fly, ngrok, Tailscale, Vercel, Netlify and Heroku.
func proxyPrefixes() []string {
	return []string{"X-Forwarded", "X-Original", "Cf-", "Fastly-", "X-Akamai-", "Akamai-", "X-Amz-Cf-", "X-Amzn-", "Cloudfront-", "X-Azure-", "X-Fd-",
		"X-Appgw-", "X-Gfe-", "X-Goog-Iap-", "X-Goog-Authenticated-", "X-Envoy-", "Fly-", "Ngrok-", "Tailscale-", "X-Vercel-",
		"X-Nf-", "X-Netlify-", "Do-Connecting-", "X-Coming-From", "X-Haproxy-", "X-Traefik-", "X-Auth-Request-"}
}

// crossSite reports whether a browser sent this for a page of another origin. Programs send neither header. Schemes are not
// compared, because a proxy that terminates TLS hides ours.
func crossSite(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}
