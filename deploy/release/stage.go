package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// shell describes where a shell's completion goes in an archive.
type shell struct{ name, file string }

func shells() []shell {
	return []shell{{"bash", "rollcall.bash"}, {"zsh", "_rollcall"}, {"fish", "rollcall.fish"}}
}

// copies returns the files of the repository that every archive has, by their names there.
func copies() map[string]string {
	return map[string]string{
		"LICENSE":                  "LICENSE",
		"README.md":                "README.md",
		"CHANGELOG.md":             "CHANGELOG.md",
		"SECURITY.md":              "SECURITY.md",
		"systemd/rollcall.service": "deploy/systemd/rollcall.service",
		"etc/rollcall.yaml":        "deploy/packages/rollcall.yaml",
		"etc/env":                  "deploy/packages/env",
		"copyright":                "deploy/packages/copyright",
	}
}

// goBuild builds rollcall for a target.
func (r *release) goBuild(ctx context.Context, t target, file string) error {
	// Without -buildvcs=false the bytes would depend on the folder: Go stamps a clone, another way if it has no tags, and neither a git worktree
	// nor an unpacked archive.
	flags := "-s -w -X main.version=" + r.version + " -X main.commit=" + r.revision + " -X main.commitTime=" + r.commit.Format(time.RFC3339)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file, "./cmd/rollcall")
	cmd.Dir = r.root
	// The defaults, so that the environment of the machine changes nothing.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=-trimpath", "GOEXPERIMENT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build rollcall for %s/%s: %w\n%s", t.os, t.arch, err, out)
	}
	return nil
}

// generate writes what the program itself writes: the manual pages, compressed as packages want them, and the completions.
func (r *release) generate(ctx context.Context, dir string) error {
	bin := filepath.Join(dir, "rollcall-here")
	pages := filepath.Join(dir, "pages")
	if err := r.goBuild(ctx, target{runtime.GOOS, runtime.GOARCH}, bin); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, bin, "man", pages).CombinedOutput(); err != nil {
		return fmt.Errorf("write the manual pages: %w\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(pages, "*.1"))
	if err != nil || len(names) == 0 {
		return fmt.Errorf("find the manual pages: %d in %s: %w", len(names), pages, err)
	}
	for _, name := range names {
		if err := compress(name, filepath.Join(dir, "man", filepath.Base(name)+".gz")); err != nil {
			return err
		}
	}
	for _, s := range shells() {
		text, err := exec.CommandContext(ctx, bin, "completion", s.name).Output()
		if err != nil {
			return fmt.Errorf("write the completion of %s: %w", s.name, err)
		}
		if err := write(filepath.Join(dir, "completions", s.file), text); err != nil {
			return err
		}
	}
	return nil
}

// compress writes a file compressed, without its name and time.
func compress(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read a manual page: %w", err)
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return write(to, b.Bytes())
}

// stage fills a directory with the files of a target's archive. The packages and the image take theirs from it too.
func (r *release) stage(ctx context.Context, t target, generated, dir string) error {
	if err := r.goBuild(ctx, t, filepath.Join(dir, "rollcall")); err != nil {
		return err
	}
	for to, from := range copies() {
		text, err := os.ReadFile(filepath.Join(r.root, from))
		if err != nil {
			return fmt.Errorf("read a file of the release: %w", err)
		}
		if err := write(filepath.Join(dir, to), text); err != nil {
			return err
		}
	}
	for _, folder := range []string{"man", "completions"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(generated, folder))); err != nil {
			return fmt.Errorf("copy %s: %w", folder, err)
		}
	}
	return r.settle(dir)
}

// settle gives everything in a directory the commit's time and a mode that depends on nothing but its name.
func (r *release) settle(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(os.Chmod(path, mode(path, d.IsDir())), os.Chtimes(path, r.commit, r.commit))
	})
}

// mode returns the mode of a file in an archive.
func mode(path string, dir bool) fs.FileMode {
	if dir || strings.HasSuffix(path, "/rollcall") {
		return 0o755
	}
	return 0o644
}

// write writes a file, and the directories to it.
func write(path string, text []byte) error {
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)); err != nil {
		return fmt.Errorf("write a file of the release: %w", err)
	}
	return nil
}
