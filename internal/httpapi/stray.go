package httpapi

import (
	"mime"
	"net/http"
	"path"
	"strings"
)

const (
	webhookPath = "/api/livekit-webhook"
	webhookType = "application/webhook+json"
)

// noteStray counts and logs a webhook that was sent to a path other than the webhooks'. LiveKit loses such a webhook
// silently, because it retries neither a 404 nor a redirect. The log does not contain the path itself, which may hold
// anything.
func (h *webhooks) noteStray(c *call) {
	if c.r.Method != http.MethodPost || c.pattern() == webhookPath {
		return
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != webhookType {
		return
	}
	h.metrics.webhooks.WithLabelValues(kindUnverified, wrongPath).Inc()
	if skipped, ok := h.refused.of(wrongPath).now(c.at); ok {
		h.log.Warn("a webhook came to a path that accepts none and is lost: correct webhook.urls of LiveKit, or the proxy in front of this node",
			"right_path", webhookPath, "this_one", nearness(c.r.URL.Path), "outcome", wrongPath, "peer", c.r.RemoteAddr, "suppressed", skipped)
	}
}

// nearness says how a path differs from the webhooks', as one of a closed list.
func nearness(sent string) string {
	switch clean := path.Clean("/" + sent); {
	case clean == webhookPath:
		return "has a slash too many"
	case strings.HasSuffix(clean, webhookPath):
		return "has a prefix before it"
	case strings.HasPrefix(clean, webhookPath+"/"):
		return "continues after it"
	case strings.EqualFold(clean, webhookPath):
		return "differs in letter case"
	case clean == "/":
		return "is the root"
	}
	return "is another"
}
