// Package redis tries rollcall's use of Redis on servers of other versions than the one that this machine has: Redis and Valkey from the
// releases of Debian. Its tests run with DEPLOY=1, because they download packages.
package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// server is a Redis or Valkey that a release of Debian has.
type server struct {
	name    string // Redis or Valkey
	version string // major and minor
	suite   string // the release of Debian
	alone   bool   // not tried as a Cluster: redistest's Cluster needs the options of 7.0
}

// servers returns what is tried. Each has a row in docs/operations.md.
func servers() []server {
	return []server{
		{"Redis", "6.0", "bullseye", true},
		{"Redis", "7.0", "bookworm", false},
		{"Redis", "8.0", "trixie", false},
		{"Valkey", "8.0", "bookworm-backports", false},
		{"Valkey", "8.1", "trixie", false},
		{"Valkey", "9.1", "forky", false},
	}
}

// libraries returns the packages whose libraries the server loads, the C library included, so that a server of a newer release runs on
// an older one.
func (s server) libraries() []string {
	all := []string{"libc6", "libatomic1", "libjemalloc2", "liblzf1", "libsystemd0", "libstdc++6", "libgcc-s1", "libzstd1", "zlib1g", "libcap2"}
	switch s.suite {
	case "bullseye":
		return append(all, "libssl1.1", "liblua5.1-0", "lua-bitop", "lua-cjson", "libgcrypt20", "libgpg-error0", "liblz4-1", "liblzma5")
	case "bookworm", "bookworm-backports":
		return append(all, "libssl3", "liblua5.1-0", "lua-bitop", "lua-cjson", "libgcrypt20", "libgpg-error0", "liblz4-1", "liblzma5")
	}
	return append(all, "libssl3t64")
}

// packages returns the packages to download, each with its release.
func (s server) packages() []string {
	all := []string{strings.ToLower(s.name) + "-tools/" + s.suite} // redis-server is a link to a program of redis-tools
	for _, library := range s.libraries() {
		all = append(all, library+"/"+strings.TrimSuffix(s.suite, "-backports"))
	}
	return all
}

// errNoDebian means that the packages cannot be had on this machine.
var errNoDebian = errors.New("apt-get or dpkg-deb is missing: the servers come from Debian's packages")

// source is a line of apt's sources.
const source = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %s main\n"

// fetch downloads and unpacks the servers into dir, and returns for each a program that runs it. What dir has already stays as it is.
// apt gets its own directories, so the machine's packages and lists do not change.
func fetch(ctx context.Context, dir string, all []server) (map[server]string, error) {
	programs := map[server]string{}
	var missing []server
	for _, s := range all {
		programs[s] = filepath.Join(dir, s.suite+"-"+strings.ToLower(s.name), "redis-server")
		if _, err := os.Stat(programs[s]); err != nil {
			missing = append(missing, s)
		}
	}
	if len(missing) == 0 {
		return programs, nil
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoDebian, err)
		}
	}
	config, err := configure(ctx, filepath.Join(dir, "apt"))
	if err != nil {
		return nil, err
	}
	for _, s := range missing {
		if err := s.unpack(ctx, config, filepath.Dir(programs[s])); err != nil {
			return nil, err
		}
	}
	return programs, nil
}

// configure makes directories for apt and reads Debian's lists into them. It returns the configuration's file.
func configure(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "apt.conf")
	var sources strings.Builder
	for _, suite := range []string{"bullseye", "bookworm", "bookworm-backports", "trixie", "forky"} {
		fmt.Fprintf(&sources, source, suite)
	}
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755),
		os.MkdirAll(filepath.Join(dir, "cache", "archives", "partial"), 0o755),
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources.String()), 0o644),
		os.WriteFile(file, fmt.Appendf(nil, `Dir::State %q; Dir::State::lists "lists"; Dir::State::status %q; Dir::Cache %q;
Dir::Etc::sourcelist %q; Dir::Etc::sourceparts "-"; APT::Sandbox::User "root"; Acquire::Languages "none";
`, dir, filepath.Join(dir, "status"), filepath.Join(dir, "cache"), filepath.Join(dir, "sources.list")), 0o644),
	)
	if err != nil {
		return "", fmt.Errorf("configure apt: %w", err)
	}
	return file, command(ctx, dir, file, "apt-get", "-qq", "update")
}

// unpack downloads and unpacks the packages, and writes a program that runs the server with its own C library.
func (s server) unpack(ctx context.Context, config, dir string) error {
	packages, files := filepath.Join(dir, "packages"), filepath.Join(dir, "root")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(packages, 0o755), os.MkdirAll(files, 0o755)); err != nil {
		return fmt.Errorf("unpack %s: %w", s.name, err)
	}
	if err := command(ctx, packages, config, "apt-get", append([]string{"-qq", "download"}, s.packages()...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := command(ctx, dir, config, "dpkg-deb", "-x", deb, files); err != nil {
			return err
		}
	}
	// The program checks files or serves, by its name.
	program := filepath.Join(files, "usr", "bin", strings.ToLower(s.name)+"-server")
	if err := os.Symlink(strings.ToLower(s.name)+"-check-rdb", program); err != nil {
		return fmt.Errorf("unpack %s: %w", s.name, err)
	}
	script := fmt.Sprintf(`#!/bin/sh
loader=$(find %[1]q -path '*-linux-gnu*/ld-linux*.so.*' | head -n 1)
libraries=$(find %[1]q -name '*.so*' -printf '%%h\n' | sort -u | paste -sd:)
exec "$loader" --library-path "$libraries" %[2]q "$@"
`, files, program)
	return os.WriteFile(filepath.Join(dir, "redis-server"), []byte(script), 0o755)
}

func command(ctx context.Context, dir, config, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "APT_CONFIG="+config)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), errors.Join(ctx.Err(), err), out)
	}
	return nil
}
