// Package patch makes wrong changes to the code for tests: go builds and tests with them, and the files themselves stay as they are.
package patch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Edit replaces Old, which the file must contain exactly once, by New.
type Edit struct {
	File     string // relative to the repository's root
	Old, New string
}

// Overlay makes the edits and returns the path of a file for go's -overlay. root is the repository's root. What it writes is in dir.
func Overlay(dir, root string, edits ...Edit) (string, error) {
	texts, err := Apply(root, edits...)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, text := range texts {
		original, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		replace[original] = filepath.Join(dir, strconv.Itoa(len(replace))+"-"+filepath.Base(file))
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write the changed %s: %w", file, err)
		}
	}
	plan, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, plan, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return overlay, nil
}

// Apply returns the files as the edits change them, by file.
func Apply(root string, edits ...Edit) (map[string]string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		text, changed := texts[e.File]
		if !changed {
			original, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, err
			}
			text = string(original)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%s has this text %d times, and must have it once: the change must follow the code\n%s", e.File, n, e.Old)
		}
		texts[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return texts, nil
}
