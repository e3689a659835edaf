// Command release builds the files of a release: static binaries in archives, packages for Debian and Red Hat systems, images,
// bills of materials and checksums.
//
// Two runs over the same commit with the same Go version write the same bytes: every time stamp is that of the commit
// (SOURCE_DATE_EPOCH), paths are trimmed, and owners and modes are set here. It is a module of its own, so that its libraries are
// no dependencies of rollcall.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

// release says what is built, from where, and where to.
type release struct {
	root    string // of the repository
	out     string // the directory of the finished files; what it held before is removed
	version string // as git describes the commit, such as v0.1.0
	// revision is the hash of the commit; empty if it is not known.
	revision string
	commit   time.Time
	log      io.Writer
}

// target is an operating system and a processor, in Go's names.
type target struct{ os, arch string }

// targets returns everything that a release is built for.
func targets() []target {
	return []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}
}

// name returns the beginning of a file's name, such as rollcall_0.1.0_linux_amd64.
func (r *release) name(t target) string {
	return "rollcall_" + fileVersion(r.version) + "_" + t.os + "_" + t.arch
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// run reads the arguments, and builds everything.
func run(ctx context.Context, args []string, epoch string, log io.Writer) error {
	r := &release{log: log}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.root, "root", "../..", "the repository")
	flags.StringVar(&r.out, "out", "", "the directory to write to; it is removed first")
	flags.StringVar(&r.version, "version", "", "the version, as git describes the commit")
	flags.StringVar(&r.revision, "revision", "", "the hash of the commit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	switch {
	case err != nil:
		return fmt.Errorf("SOURCE_DATE_EPOCH is %q: set it to the time of the commit, git log -1 --format=%%ct", epoch)
	case r.version == "" || r.out == "":
		return errors.New("give -version and -out, as make release does")
	}
	r.commit = time.Unix(seconds, 0).UTC()
	if r.root, err = filepath.Abs(r.root); err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return fmt.Errorf("find the directory to write to: %w", err)
	}
	return r.build(ctx)
}

// build writes all files of the release. It removes what an earlier release has left in the directory.
func (r *release) build(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return fmt.Errorf("empty the directory of the release: %w", err)
	}
	work, err := os.MkdirTemp("", "rollcall-release")
	if err != nil {
		return fmt.Errorf("make a directory for the files of the archives: %w", err)
	}
	defer os.RemoveAll(work)
	generated := filepath.Join(work, "generated")
	if err := r.generate(ctx, generated); err != nil {
		return err
	}
	for _, t := range targets() {
		stage := filepath.Join(work, r.name(t))
		fmt.Fprintf(r.log, "building %s\n", r.name(t))
		if err := r.stage(ctx, t, generated, stage); err != nil {
			return err
		}
		if err := errors.Join(r.archive(t, stage), r.billOfMaterials(ctx, t, stage)); err != nil {
			return err
		}
		if t.os == "linux" {
			if err := errors.Join(r.packages(t, stage), r.image(t, stage)); err != nil {
				return err
			}
		}
	}
	return r.checksums()
}
