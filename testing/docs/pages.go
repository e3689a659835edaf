// Package docs holds the README and docs/ to the program: what they tell to type works, and what they name exists.
package docs

import (
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

// pages are the README, CONTRIBUTING, SECURITY and docs/.
func pages() ([]page, error) {
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	var all []page
	for _, path := range append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "SECURITY.md")) {
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

// block is what stands between two fences.
type block struct {
	language string // empty where the fence names none
	text     string
}

// blocks are the page's, in order.
func (p page) blocks() (all []block) {
	inside := false
	for line := range strings.Lines(p.text) {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && !inside:
			all = append(all, block{language: language})
			inside = true
		case fence:
			inside = false
		case inside:
			all[len(all)-1].text += line
		}
	}
	return all
}

// commands are the lines of the page's sh blocks, without comments; continued ones are one.
func (p page) commands() (all []string) {
	for _, b := range p.blocks() {
		if b.language != "sh" {
			continue
		}
		pending := ""
		for line := range strings.Lines(b.text) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutSuffix(line, `\`); ok {
				pending += rest
				continue
			}
			line, _, _ = strings.Cut(pending+line, " #")
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
			pending = ""
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
