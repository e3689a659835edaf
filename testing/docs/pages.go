// Package docs checks the README and docs/ against the program: the commands they show work, and what they name exists.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// root is the directory of the pages, relative to this package.
const root = "../.."

// page is one document.
type page struct {
	name string // such as docs/api.md
	text string
}

// pages returns the README, CONTRIBUTING, SECURITY and docs/.
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

// block is the text between two fences.
type block struct {
	language string // empty if the fence names none
	text     string
}

// blocks returns the page's blocks, in order.
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

// settingsFile is the file that getting-started.md writes in one terminal and reads in others. TestTwoTerminals runs those blocks.
const settingsFile = "rollcall.env"

// commands returns the lines of the page's sh blocks, without comments and without the blocks of settingsFile. A continued line counts
// as one.
func (p page) commands() (all []string) {
	for _, b := range p.blocks() {
		if b.language != "sh" || strings.Contains(b.text, "./"+settingsFile) || strings.Contains(b.text, "> "+settingsFile) {
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

// anchors returns the anchors that GitHub gives to the page's headings.
func (p page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(p.text, -1) {
		all[strings.ReplaceAll(strings.ToLower(unsaid.ReplaceAllString(m[1], "")), " ", "-")] = true
	}
	return all
}
