package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// create calls a function with a new file of the release, and closes the file.
func (r *release) create(name string, fill func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return fmt.Errorf("make a file of the release: %w", err)
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// archive writes a target's files as a compressed tar file, in a directory of the archive's name.
func (r *release) archive(t target, stage string) error {
	return r.create(r.name(t)+".tar.gz", func(file io.Writer) error {
		zipped, err := gzip.NewWriterLevel(file, gzip.BestCompression)
		if err != nil {
			return err
		}
		w := tar.NewWriter(zipped)
		// WalkDir goes in lexical order.
		err = filepath.WalkDir(stage, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(filepath.Dir(stage), path)
			if err != nil {
				return err
			}
			return r.addFile(w, path, name, d.IsDir())
		})
		return errors.Join(err, w.Close(), zipped.Close())
	})
}

// addFile appends a file or a directory to a tar file, owned by root.
func (r *release) addFile(w *tar.Writer, path, name string, dir bool) error {
	h := &tar.Header{Name: filepath.ToSlash(name), Mode: int64(mode(path, dir)), ModTime: r.commit, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if dir {
		h.Name, h.Typeflag = h.Name+"/", tar.TypeDir
		return w.WriteHeader(h)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	h.Size = int64(len(text))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// billOfMaterials writes what a binary was made of, as its build information says, in CycloneDX's form.
func (r *release) billOfMaterials(ctx context.Context, t target, stage string) error {
	file := filepath.Join(r.out, r.name(t)+".cdx.json")
	cmd := exec.CommandContext(ctx, "go", "tool", "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp", "-licenses", "-version", r.version,
		"-output", file, filepath.Join(stage, "rollcall"))
	cmd.Dir = filepath.Join(r.root, "deploy", "release")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write the bill of materials of %s: %w\n%s", r.name(t), err, out)
	}
	return nil
}

// checksums writes SHA256SUMS, in the form that sha256sum -c reads.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out) // in lexical order
	if err != nil {
		return fmt.Errorf("list the files of the release: %w", err)
	}
	var sums strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return fmt.Errorf("read a file of the release: %w", err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), e.Name())
		fmt.Fprintf(r.log, "%9d  %s\n", len(data), e.Name())
	}
	return r.create("SHA256SUMS", func(w io.Writer) error {
		_, err := io.WriteString(w, sums.String())
		return err
	})
}
