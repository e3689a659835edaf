package compose

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tree is the directory of a build context that becomes an image's file system.
const tree = "files"

// buildContext is a directory from which an image is built. Paths are relative to it.
type buildContext struct {
	dir string
}

func (c *buildContext) in(path string) string { return filepath.Join(c.dir, path) }

func (c *buildContext) makeDir(path string) error { return os.MkdirAll(c.in(path), 0o755) }

// copyFile copies a file of this machine, following links.
func (c *buildContext) copyFile(from, to string, mode fs.FileMode) error {
	if err := c.makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(c.in(to), data, mode)
}

// install copies a program (a path, or a name on the PATH) to a path of the image, and its shared libraries to where the program
// expects them.
func (c *buildContext) install(ctx context.Context, program, to string) error {
	from, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("an image needs %s on the PATH (testing/install-deps.sh installs it): %w", program, err)
	}
	if err := c.copyFile(from, filepath.Join(tree, to), 0o755); err != nil {
		return err
	}
	libraries, err := sharedLibraries(ctx, from)
	if err != nil {
		return err
	}
	for _, library := range libraries {
		if err := c.copyFile(library, filepath.Join(tree, library), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// sharedLibraries returns the files that a program loads, including its loader. A static program has none.
func sharedLibraries(ctx context.Context, program string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if strings.Contains(string(out), "not a dynamic executable") || strings.Contains(string(out), "statically linked") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w\n%s", program, err, out)
	}
	var files []string
	for line := range strings.Lines(string(out)) {
		for field := range strings.FieldsSeq(line) {
			if filepath.IsAbs(field) {
				files = append(files, field)
			}
		}
		if strings.Contains(line, "not found") {
			return nil, fmt.Errorf("%s lacks a library: %s", program, strings.TrimSpace(line))
		}
	}
	return files, nil
}
