package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// right is what an endpoint needs of its caller.
type right int

const (
	open     right = iota // anyone
	readRoom              // to read the call's room
	readAll
	act
)

// access decides who may do what, by the contract's paragraph.
type access struct {
	admin   *[sha256.Size]byte // of the admin token; nil without one
	tokens  Tokens
	origins origins
}

func newAccess(adminToken string, tokens Tokens, origins origins) access {
	a := access{tokens: tokens, origins: origins}
	if adminToken != "" {
		sum := sha256.Sum256([]byte(adminToken))
		a.admin = &sum
	}
	return a
}

// check returns nil when the caller has that right, and notes who it is. Credentials that are presented are judged, also those of a caller who
// would have needed none: a proxy on this machine that passes a moderator's token on must not make an operator of him.
func (a *access) check(c *call, needs right) error {
	if needs == open {
		return nil
	}
	if needs == act && crossSite(c.r) && !a.origins.allow(c.r) {
		return refuse(http.StatusForbidden, "Requests from other origins are refused")
	}
	given := c.r.Header.Values("Authorization")
	if len(given) == 0 {
		if a.admin == nil && private(c.r) {
			c.who = caller{rank: actsAsWell}
			return nil
		}
		return unauthorized("")
	}
	token, ok := bearer(given)
	if !ok {
		return unauthorized("invalid_request")
	}
	if a.isAdmin(token) {
		c.who = caller{rank: actsAsWell}
		return nil
	}
	grant, err := a.tokens.VerifyToken(token, c.at)
	if err != nil {
		return unauthorized("invalid_token")
	}
	if !grant.allows(needs, c.room) {
		p := refuse(http.StatusForbidden, "The token does not allow this")
		p.header = challenge("insufficient_scope")
		return p
	}
	c.who = callerOf(grant, token)
	return nil
}

// isAdmin compares digests, so that neither the token's bytes nor its length show in the time it takes.
func (a *access) isAdmin(token string) bool {
	if a.admin == nil {
		return false
	}
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], a.admin[:]) == 1
}

func (g Grant) allows(needs right, room string) bool {
	switch needs {
	case act:
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

// bearer gives the token of the one Authorization header.
func bearer(given []string) (string, bool) {
	if len(given) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// oneToken is the value of the one Authorization header, empty where there are several: a proxy may have judged another of them.
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

func unauthorized(reason string) *problem {
	p := refuse(http.StatusUnauthorized, "Unauthorized")
	p.header = challenge(reason)
	return p
}
