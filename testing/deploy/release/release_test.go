package release

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// version is that of the release that the tests build.
const version = "v9.8.7"

// base is the beginning of the names of its files.
const base = "rollcall_9.8.7_"

// TestRelease builds a release twice, compares the builds, and tries the files of the first.
func TestRelease(t *testing.T) {
	needDeploy(t)
	dir := filepath.Join(t.TempDir(), "bin", "release")
	revision := strings.TrimSpace(run(t, "git", "-C", root, "rev-parse", "HEAD"))
	makeRelease(t, root, filepath.Dir(dir))
	t.Run("files", func(t *testing.T) { checkFiles(t, dir) })
	t.Run("archives", func(t *testing.T) { checkArchives(t, dir, revision) })
	t.Run("bills of materials", func(t *testing.T) { checkBills(t, dir) })
	t.Run("images", func(t *testing.T) { checkImages(t, dir) })
	t.Run("packages", func(t *testing.T) { checkPackages(t, dir) })
	t.Run("reproducible", func(t *testing.T) { checkSecondBuild(t, dir, revision) })
}

// run runs a command and returns its output. It fails the test if the command fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// makeRelease runs make release in a work tree.
func makeRelease(t *testing.T, tree, bin string, more ...string) {
	t.Helper()
	t.Log(run(t, "env", append(more, "make", "-C", tree, "release", "BIN="+bin, "VERSION="+version)...))
}

// checkSecondBuild builds the release again, and compares the checksums. If everything is committed, it builds in another folder, in which git finds
// no repository, as in an unpacked archive of the sources.
func checkSecondBuild(t *testing.T, dir, revision string) {
	tree, bin := root, filepath.Join(t.TempDir(), "another")
	if run(t, "git", "-C", root, "status", "--porcelain") == "" {
		tree = filepath.Join(t.TempDir(), "clone")
		run(t, "git", "clone", "-q", "--no-hardlinks", root, tree)
		if err := os.RemoveAll(filepath.Join(tree, ".git")); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Log("the work tree has changes, so the second build is made in the same folder")
	}
	committed := strings.TrimSpace(run(t, "git", "-C", root, "log", "-1", "--format=%ct"))
	makeRelease(t, tree, bin, "SOURCE_DATE_EPOCH="+committed, "REVISION="+revision)
	first, second := sums(t, dir), sums(t, filepath.Join(bin, "release"))
	for name, sum := range first {
		if second[name] != sum {
			t.Errorf("%s is not the same in the second build", name)
		}
	}
	if len(first) == 0 || len(second) != len(first) { // checkFiles knows how many there should be
		t.Errorf("%d and %d files", len(first), len(second))
	}
}

// sums reads SHA256SUMS: checksums by names.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || len(sum) != 64 {
			t.Errorf("SHA256SUMS has the line %q", line)
		}
		all[name] = sum
	}
	return all
}

// checkFiles checks that there are the files that docs/releasing.md lists, and that the checksums are theirs.
func checkFiles(t *testing.T, dir string) {
	want := []string{"SHA256SUMS"}
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
		want = append(want, base+target+".tar.gz", base+target+".cdx.json")
		if strings.HasPrefix(target, "linux") {
			want = append(want, base+target+".deb", base+target+".rpm", base+target+".image.tar")
		}
	}
	var got []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the release has %v, want %v", got, want)
	}
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(sums(t, dir)) != len(want)-1 {
		t.Errorf("%v\n%s", err, out)
	}
}

// checkArchives checks that each archive has a static binary for its system, and what belongs to it.
func checkArchives(t *testing.T, dir, revision string) {
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
		to := t.TempDir()
		run(t, "tar", "-xzf", filepath.Join(dir, base+target+".tar.gz"), "-C", to)
		in := filepath.Join(to, base+target)
		for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "systemd/rollcall.service", "etc/env", "etc/rollcall.yaml", "man/rollcall.1.gz", "completions/_rollcall"} {
			if _, err := os.Stat(filepath.Join(in, name)); err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
		checkBinary(t, target, filepath.Join(in, "rollcall"))
		if target == "linux_amd64" {
			if got := run(t, filepath.Join(in, "rollcall"), "version"); !strings.HasPrefix(got, "rollcall "+version+" ") || !strings.Contains(got, ", commit "+revision+")") {
				t.Errorf("it calls itself %s", got)
			}
		}
		if owners := run(t, "tar", "--numeric-owner", "-tvzf", filepath.Join(dir, base+target+".tar.gz")); strings.Count(owners, " 0/0 ") != strings.Count(owners, "\n") {
			t.Errorf("%s has files of others than root:\n%s", target, owners)
		}
	}
}

// checkBinary checks a binary's system, and that it needs no libraries on Linux.
func checkBinary(t *testing.T, target, file string) {
	t.Helper()
	if strings.HasPrefix(target, "darwin") {
		f, err := macho.Open(file)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		defer f.Close()
		if want := map[string]macho.Cpu{"darwin_amd64": macho.CpuAmd64, "darwin_arm64": macho.CpuArm64}[target]; f.Cpu != want {
			t.Errorf("%s is for %v", target, f.Cpu)
		}
		return
	}
	f, err := elf.Open(file)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	defer f.Close()
	if want := map[string]elf.Machine{"linux_amd64": elf.EM_X86_64, "linux_arm64": elf.EM_AARCH64}[target]; f.Machine != want {
		t.Errorf("%s is for %v", target, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static", target)
		}
	}
}

// checkBills checks that each bill of materials names the modules that the project's go.mod requires directly and the binary has.
func checkBills(t *testing.T, dir string) {
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
		data, err := os.ReadFile(filepath.Join(dir, base+target+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var bill struct {
			BOMFormat, SpecVersion, SerialNumber string
			Metadata                             struct {
				Timestamp string
				Component struct{ Name, Version string }
			}
			Components []struct{ Name, Version, PURL string }
		}
		if err := json.Unmarshal(data, &bill); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component.Version != version || bill.SerialNumber+bill.Metadata.Timestamp != "" || bytes.Contains(data, []byte(os.TempDir()+"/")) {
			t.Errorf("%s: %s %s of %s %s, with %q %q; or it has a path of this machine", target, bill.BOMFormat, bill.SpecVersion, bill.Metadata.Component.Name, bill.Metadata.Component.Version,
				bill.SerialNumber, bill.Metadata.Timestamp)
		}
		for _, module := range []string{"std", "github.com/redis/go-redis/v9", "github.com/hashicorp/raft", "github.com/livekit/protocol", "github.com/spf13/cobra"} {
			if !slices.ContainsFunc(bill.Components, func(c struct{ Name, Version, PURL string }) bool {
				return c.Name == module && c.Version != "" && c.PURL != ""
			}) {
				t.Errorf("%s does not list %s", target, module)
			}
		}
	}
}

// TestModuleOfTheRelease runs the tests and go vet of the program that makes a release, which is a module of its own.
func TestModuleOfTheRelease(t *testing.T) {
	needDeploy(t)
	run(t, "go", "test", "-C", filepath.Join(root, "deploy/release"), "./...")
}

// TestGoreleaserAcceptsItsConfiguration runs goreleaser's own check, and everything that it does except publishing and make release.
func TestGoreleaserAcceptsItsConfiguration(t *testing.T) {
	needDeploy(t)
	for _, args := range [][]string{{"check"}, {"release", "--snapshot", "--clean", "--skip=publish,before"}} {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", goreleaser}, args...)...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("deprecated")) {
			t.Errorf("goreleaser %v: %v\n%s", args, err, out)
		}
	}
}

// goreleaser is the version that docs/releasing.md names.
const goreleaser = "github.com/goreleaser/goreleaser/v2@v2.15.1"

// TestReleasingNamesTheVersion checks that the documents name the version that is checked.
func TestReleasingNamesTheVersion(t *testing.T) {
	t.Parallel()
	if !strings.Contains(text(t, "docs/releasing.md"), "go run "+goreleaser+" release") {
		t.Errorf("docs/releasing.md does not name %s", goreleaser)
	}
}
