package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const friend = "https://app.example"

func friendly(c *Config) { c.AdminToken, c.CORSOrigins = adminToken, []string{friend} }

func preflight(origin, method string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	}
}

func TestPageForBrowsers(t *testing.T) {
	r := newRig(t, &node{}, func(c *Config) { c.AdminToken = adminToken })
	far := from("203.0.113.9:1", "rollcall.example")
	w := r.ask("GET", "/", "", far, header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Body.String(), "<!doctype html>") {
		t.Errorf("%d %s", w.Code, w.Header())
	}
	if policy := w.Header().Values("Content-Security-Policy"); len(policy) != 1 || !strings.Contains(policy[0], "script-src 'self'") {
		t.Errorf("policy %q", policy)
	}
	if !slices.Contains(w.Header().Values("Vary"), "Accept") {
		t.Error("a cache would give the page to programs")
	}
	for _, path := range []string{"/favicon.svg", "/rollcall-client.js", "/rollcall-client.d.ts", "/sync-status-indicator.js"} {
		if w := r.ask("GET", path, "", far); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
		if w := r.ask("POST", path, "{}", far); w.Code != 405 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if w := r.ask("GET", "/page/nothing.js", "", far); w.Code != 404 {
		t.Errorf("no such file: %d", w.Code)
	}
	if w := r.ask("GET", "/", "", far, header("Accept", "*/*")); w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("curl gets %s", w.Header())
	}
	if w := r.ask("GET", "/", "", far, header("Accept", "application/json")); !strings.Contains(w.Body.String(), `"/{file}"`) || strings.Contains(w.Body.String(), "/page/") {
		t.Errorf("the index is a list of endpoints, not of files: %s", w.Body)
	}
}

func TestAllowedOriginReadsAndActs(t *testing.T) {
	r := newRig(t, &node{}, friendly)
	token := header("Authorization", "Bearer "+adminToken)
	page := func(r *http.Request) {
		r.Header.Set("Origin", friend)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	for _, call := range []string{"GET /api/sync-rooms", "POST /api/sync-rooms", "GET /sync-status-indicator.js"} {
		method, path, _ := strings.Cut(call, " ")
		w := r.ask(method, path, `{"action":"sync"}`, page, token)
		if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != friend {
			t.Errorf("%s: %d %v", call, w.Code, w.Header())
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies of a foreign page are never wanted", call)
		}
	}
	// A refusal must be readable too, or the page could not show the reason.
	w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, page)
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != friend {
		t.Errorf("without a token: %d %v", w.Code, w.Header())
	}
	if len(r.node.asked) != 1 {
		t.Errorf("done: %q", r.node.asked)
	}
}

// TestAllowedOriginNeedsToken checks that being on this machine is enough only for programs and our own page.
func TestAllowedOriginNeedsToken(t *testing.T) {
	r := newRig(t, &node{}, func(c *Config) { c.CORSOrigins = []string{friend} })
	for _, call := range []string{"GET /api/rooms", "POST /api/sync-rooms"} {
		method, path, _ := strings.Cut(call, " ")
		if w := r.ask(method, path, `{"action":"sync"}`, header("Origin", friend)); w.Code != 401 {
			t.Errorf("%s: %d", call, w.Code)
		}
	}
}

func TestOtherOriginsGetNothing(t *testing.T) {
	token := header("Authorization", "Bearer "+adminToken)
	for _, origin := range []string{"https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.evil.example", "null", "*", "", "HTTPS://APP.EXAMPLE"} {
		for _, tweak := range []func(*Config){friendly, func(c *Config) { c.AdminToken = adminToken }} {
			r := newRig(t, &node{}, tweak)
			if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, header("Origin", origin), token); w.Code != 403 {
				t.Errorf("%q acts: %d", origin, w.Code)
			}
			read := r.ask("GET", "/api/sync-rooms", "", header("Origin", origin), token)
			asked := r.ask("OPTIONS", "/api/sync-rooms", "", preflight(origin, "POST"))
			for _, w := range []http.Header{read.Header(), asked.Header()} {
				if w.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%q may read: %v", origin, w)
				}
			}
			if asked.Code != 405 {
				t.Errorf("%q, preflight: %d", origin, asked.Code)
			}
		}
	}
	r := newRig(t, &node{}, friendly)
	two := func(r *http.Request) { r.Header["Origin"] = []string{friend, "https://evil.example"} }
	if w := r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`, two, token); w.Code != 403 {
		t.Errorf("two origins: %d", w.Code)
	}
}

func TestPreflight(t *testing.T) {
	r := newRig(t, &node{}, friendly)
	far := from("203.0.113.9:1", "rollcall.example")
	w := r.ask("OPTIONS", "/api/sync-rooms", "", far, preflight(friend, "POST"))
	for name, value := range map[string]string{"Access-Control-Allow-Origin": friend, "Access-Control-Allow-Methods": "GET, HEAD, POST",
		"Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID", "Access-Control-Max-Age": "600", "Vary": "Origin"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := r.ask("OPTIONS", "/nowhere", "", far, preflight(friend, "GET")); w.Code != 404 {
		t.Errorf("no such endpoint: %d", w.Code)
	}
	if w := r.ask("OPTIONS", "/api/rooms", "", far, header("Origin", friend)); w.Code != 405 {
		t.Errorf("no preflight: %d", w.Code)
	}
	if w := r.ask("GET", "/api/rooms", "", far); !slices.Contains(w.Header().Values("Vary"), "Origin") {
		t.Error("a cache would give an answer without the origin to the page that may read it")
	}
}

// TestAddressesThatPeopleType checks that an address without the # leads to its view, and that one that is nothing says so: to a
// browser by the page, to a program in JSON.
func TestAddressesThatPeopleType(t *testing.T) {
	r := newRig(t, &node{}, nil)
	browser := header("Accept", "text/html,*/*;q=0.8")
	for path, to := range map[string]string{"/rooms": "/#/rooms", "/rooms/standup": "/#/rooms/standup", "/rooms/a%2Fb%3F": "/#/rooms/a%2Fb%3F", "/rooms//evil.example": "/#/rooms//evil.example"} {
		if w := r.ask("GET", path, "", browser); w.Code != 302 || w.Header().Get("Location") != to {
			t.Errorf("%s: %d, to %q", path, w.Code, w.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/nowhere", "/api-docs", "/roomsandmore"} {
		if w := r.ask("GET", path, "", browser); w.Code != 404 || !strings.Contains(w.Body.String(), "<!doctype html>") || w.Header().Get("ETag") != "" || !slices.Contains(w.Header().Values("Vary"), "Accept") {
			t.Errorf("%s in a browser: %d %s", path, w.Code, w.Header())
		}
		want(t, r.ask("GET", path, ""), 404, `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`)
	}
	want(t, r.ask("GET", "/{file}", ""), 404, `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`)
	want(t, r.ask("GET", "/api/nowhere", "", browser), 404, `{"error":"No such endpoint; GET /openapi.yaml describes all of them"}`)
}
