// Package docs holds the README and docs/ to the program: what they tell to type works, and what they name exists.
package docs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// root is where the pages are, seen from this package.
const root = "../.."

// page is one document.
type page struct {
	name string // such as docs/api.md
	text string
}

// pages are the README, CONTRIBUTING and docs/.
func pages() ([]page, error) {
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	var all []page
	for _, path := range append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a page: %w", err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		all = append(all, page{name, string(text)})
	}
	return all, nil
}

// commands are the lines of the page's sh blocks, without comments; continued ones are one.
func (p page) commands() (all []string) {
	inside, pending := false, ""
	lines := bufio.NewScanner(strings.NewReader(p.text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case !inside || line == "":
		case strings.HasSuffix(line, `\`):
			pending += strings.TrimSuffix(line, `\`)
		default:
			line, _, _ = strings.Cut(pending+line, " #")
			all, pending = append(all, strings.TrimSpace(line)), ""
		}
	}
	return all
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unsaid  = regexp.MustCompile(`[^\pL\pN _-]`)
)

// anchors are those that the page's headings have on GitHub.
func (p page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(p.text, -1) {
		all[strings.ReplaceAll(strings.ToLower(unsaid.ReplaceAllString(m[1], "")), " ", "-")] = true
	}
	return all
}
