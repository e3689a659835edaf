package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed static
var embedded embed.FS

// index is the file that is served at "/".
const index = "/index.html"

// types returns the content types of everything that static/ may contain. mime.TypeByExtension would depend on the machine
// it runs on.
func types() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".ts":   "text/plain; charset=utf-8",
		".svg":  "image/svg+xml",
	}
}

type file struct {
	contentType, etag string
	body              []byte
}

// Files holds the files by the path at which they are served. It is an http.Handler and safe for concurrent use.
type Files struct{ byPath map[string]file }

// New reads the embedded files. Error: a file of a type that the package does not know, which is a mistake of the build.
func New() (*Files, error) {
	f := &Files{byPath: map[string]file{}}
	known := types()
	err := fs.WalkDir(embedded, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		contentType := known[path.Ext(name)]
		if contentType == "" {
			return fmt.Errorf("%s has no content type", name)
		}
		sum := sha256.Sum256(body)
		at := strings.TrimPrefix(name, "static")
		if at == index {
			at = "/"
		}
		f.byPath[at] = file{contentType, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, body}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the page's files: %w", err)
	}
	return f, nil
}

// Paths lists the paths that are served, sorted; "/" is the page.
func (f *Files) Paths() []string { return slices.Sorted(maps.Keys(f.byPath)) }

// WantsPage reports whether a browser opens the address, as opposed to a script or a program.
func WantsPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// ServeHTTP answers GET and HEAD. The path is taken as it was sent; a path that is not a file gets 404, with the page itself for
// a browser that opens it: the page says that there is no such address.
//
// A browser revalidates each time and mostly gets 304, so after an upgrade no page runs with the modules of another version.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	found, ok := f.byPath[r.URL.Path]
	if !ok {
		h.Add("Vary", "Accept")
		if !WantsPage(r) {
			http.NotFound(w, r)
			return
		}
		found = f.byPath["/"]
	}
	h.Set("Content-Type", found.contentType)
	h.Set("ETag", found.etag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if !ok {
		h.Del("ETag") // a browser must not take a 304 for it
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(found.body) // a browser that has gone needs none
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.body))
}
