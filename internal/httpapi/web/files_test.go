package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func files(t *testing.T) *Files {
	t.Helper()
	f, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func get(f *Files, method, path string, tweak ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for _, change := range tweak {
		change(r)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	f := files(t)
	for _, path := range f.Paths() {
		w := get(f, "GET", path)
		h := w.Header()
		if w.Code != 200 || w.Body.Len() == 0 || h.Get("Cache-Control") != "no-cache" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if again := get(f, "GET", path, func(r *http.Request) { r.Header.Set("If-None-Match", h.Get("ETag")) }); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
		if head := get(f, "HEAD", path); head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != h.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", path, head.Code, head.Header())
		}
	}
	for _, path := range []string{"/index.html", "/page/", "/page", "/../files.go", "/page/../index.html", "/static/index.html"} {
		if w := get(f, "GET", path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/sync-status-indicator.js": "text/javascript; charset=utf-8",
		"/rollcall-client.d.ts": "text/plain; charset=utf-8", "/favicon.svg": "image/svg+xml", "/page/base.css": "text/css; charset=utf-8"} {
		if got := get(f, "GET", path).Header().Get("Content-Type"); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// TestNothingFromElsewhere checks the sources: the browser would refuse these too, but only when somebody opens the page.
func TestNothingFromElsewhere(t *testing.T) {
	f := files(t)
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|javascript:|localStorage\.setItem\([^)]*token|<style|\bon[a-z]+="|\bstyle="|@import|url\(\s*["']?http`)
	hosts := regexp.MustCompile(`https?://[^\s"'<>)]+`)
	for _, path := range f.Paths() {
		body := get(f, "GET", path).Body.String()
		if found := forbidden.FindString(body); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
		for _, host := range hosts.FindAllString(body, -1) {
			if host != "http://www.w3.org/2000/svg" && !strings.Contains(host, "rollcall.example") {
				t.Errorf("%s names %s", path, host)
			}
		}
		if lines := strings.Count(body, "\n"); lines > 600 {
			t.Errorf("%s has %d lines: split it", path, lines)
		}
	}
}

// TestPreloads checks that the page names all its modules at once, so that a distant browser does not discover them one
// after another.
func TestPreloads(t *testing.T) {
	f := files(t)
	page := get(f, "GET", "/").Body.String()
	var named, want []string
	for _, match := range regexp.MustCompile(`(?:src|href)="(/[^"]+\.(?:js|css))"`).FindAllStringSubmatch(page, -1) {
		named = append(named, match[1])
	}
	for _, path := range f.Paths() {
		if strings.HasPrefix(path, "/page/") || path == "/rollcall-client.js" {
			want = append(want, path)
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, want) {
		t.Errorf("the page names %q, and there are %q", named, want)
	}
}
