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

// index is the file that stands at "/".
const index = "/index.html"

// types are the content types of all that static/ may hold. mime.TypeByExtension would ask the machine it runs on.
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

// Files are the files by the path at which they are served. It is an http.Handler, and safe for use by many.
type Files struct{ byPath map[string]file }

// New reads what is embedded. Error: a file of a type that the package does not know, which is a mistake of the build.
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

// ServeHTTP answers GET and HEAD. The path is taken as it was sent; what is not a file gets 404.
//
// A browser asks each time and mostly gets 304: after an upgrade no page runs with the modules of another version.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := f.byPath[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", found.contentType)
	h.Set("ETag", found.etag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.body))
}
