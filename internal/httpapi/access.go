package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/rollcallhq/rollcall/reconcile"
)

// right is what an endpoint requires of its caller.
type right int

const (
	open     right = iota // anyone
	readRoom              // to read the room of the call
	readAll
	act
	reload // to act, or the admin token that the reload will set
)

// access decides who may do what, by the rules in docs/api.md.
type access struct {
	tokens   Tokens
	reloader Reloader
	admin    atomic.Pointer[[sha256.Size]byte] // digest of the admin token; nil if there is none
	sites    atomic.Pointer[origins]
}

func newAccess(adminToken string, ports Ports, corsOrigins []string) *access {
	a := &access{tokens: ports.Tokens, reloader: ports.Reloader}
	a.set(adminToken, corsOrigins)
	return a
}

// set changes the admin token, and the origins whose pages may call.
func (a *access) set(adminToken string, corsOrigins []string) {
	sites := newOrigins(corsOrigins)
	a.sites.Store(&sites)
	a.admin.Store(digestOf(adminToken))
}

// digestOf returns nil if there is no token.
func digestOf(token string) *[sha256.Size]byte {
	if token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(token))
	return &sum
}

func (a *access) origins() origins { return *a.sites.Load() }

// check returns nil if the caller has the right, and records who the caller is. Credentials that are sent are always
// checked, even if the caller would need none: a proxy on this machine that forwards a moderator's token must not turn the
// moderator into an operator.
func (a *access) check(c *call, needs right) error {
	if needs == open {
		return nil
	}
	if needs >= act && crossSite(c.r) && !a.origins().allow(c.r) {
		return refuse(http.StatusForbidden, "Requests from other origins are refused")
	}
	given := c.r.Header.Values("Authorization")
	if len(given) == 0 {
		c.as.kind = "none"
		if a.admin.Load() == nil && private(c.r) {
			c.as.kind = "local"
			c.who = caller{rank: actsAsWell}
			return nil
		}
		return unauthorized("", "Unauthorized: this node wants a token: send the admin token, or a LiveKit access token, as Authorization: Bearer")
	}
	c.as.kind = "invalid"
	token, ok := bearer(given)
	if !ok {
		return unauthorized("invalid_request", "Unauthorized: send one Authorization header: Bearer, a space and the token")
	}
	if sameToken(token, a.admin.Load()) || needs == reload && sameToken(token, digestOf(a.reloader.AdminToken())) {
		c.as.kind, c.who = "admin", caller{rank: actsAsWell}
		return nil
	}
	grant, err := a.tokens.VerifyToken(token, c.at)
	if err != nil {
		return unauthorized("invalid_token", "Unauthorized: the token is wrong, expired or not valid yet")
	}
	c.as = credentials{kind: "livekit", identity: grant.Identity}
	if !allows(grant, needs, c.room) {
		p := refuse(http.StatusForbidden, "The token does not allow this: "+lacks(needs, c.room))
		p.header = challenge("insufficient_scope")
		return p
	}
	c.who = callerOf(grant, token)
	return nil
}

// sameToken compares digests, so that the time it takes reveals neither the token's bytes nor its length.
func sameToken(token string, digest *[sha256.Size]byte) bool {
	if digest == nil {
		return false
	}
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], digest[:]) == 1
}

func allows(g reconcile.Grant, needs right, room string) bool {
	switch needs {
	case act, reload:
		return g.RoomAdmin && g.RoomList && g.Room == ""
	case readRoom:
		return g.RoomList || g.RoomAdmin && g.Room != "" && g.Room == room
	case readAll:
		return g.RoomList
	case open:
		return true
	}
	return false
}

// lacks says which grants a LiveKit token needs for a right that it does not give.
func lacks(needs right, room string) string {
	switch {
	case needs >= act:
		return "an action needs roomList and roomAdmin, and no room"
	case needs == readRoom && room != "":
		return "it needs roomAdmin with the name of this room, or roomList"
	}
	return "it needs roomList"
}

// bearer returns the token of the Authorization header, of which there must be exactly one.
func bearer(given []string) (string, bool) {
	if len(given) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// oneToken returns the value of the Authorization header. It returns "" if there are several, because a proxy may have
// checked a different one.
func oneToken(h http.Header) string {
	if given := h.Values("Authorization"); len(given) == 1 {
		return given[0]
	}
	return ""
}

func challenge(reason string) http.Header {
	value := `Bearer realm="rollcall"`
	if reason != "" {
		value += `, error="` + reason + `"`
	}
	return http.Header{"Www-Authenticate": {value}}
}

func unauthorized(reason, text string) *problem {
	p := refuse(http.StatusUnauthorized, text)
	p.header = challenge(reason)
	return p
}
