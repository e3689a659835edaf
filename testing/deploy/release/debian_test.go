package release

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debianImage is a Debian with systemd and rpm, made of Debian's own files.
const debianImage = "rollcall-test/debian:local"

// debian is a container in which systemd runs.
type debian struct {
	*testing.T
	id string
}

// importDebian makes the image. The files are kept in bin, because they take minutes to gather.
func importDebian(t *testing.T) {
	t.Helper()
	kept := filepath.Join(root, "bin", "debian-bookworm.tar")
	if _, err := os.Stat(kept); err != nil {
		if os.Getuid() != 0 {
			t.Fatal("debootstrap makes a Debian only as root: run make check-deploy as root")
		}
		dir := filepath.Join(t.TempDir(), "debian")
		run(t, "debootstrap", "--variant=minbase", "--include=systemd-sysv,rpm", "bookworm", dir)
		if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, "tar", "--numeric-owner", "-C", dir, "-cf", kept+".part", ".")
		if err := os.Rename(kept+".part", kept); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "docker", "import", kept, debianImage)
}

// ways returns the options with which systemd may run in a container, the usual ones first. The others are for a machine that may not give a
// container all privileges.
func ways() [][]string {
	cgroup := []string{"-v", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd:rw"}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		cgroup = []string{"--cgroupns=host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"}
	}
	some := []string{"--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"}
	return [][]string{append([]string{"--privileged"}, cgroup...), append(some, cgroup...)}
}

// startDebian starts a container with systemd, no network, and the files of the release in /release. It is removed at the end of the test.
func startDebian(t *testing.T, dir string) *debian {
	t.Helper()
	importDebian(t)
	var last error
	for _, way := range ways() {
		d := &debian{T: t, id: fmt.Sprintf("rollcall-test-debian-%d-%d", os.Getpid(), time.Now().UnixNano())}
		args := append([]string{"run", "--detach", "--name", d.id, "--network=none", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--env=container=docker", "-v", dir + ":/release:ro"}, way...)
		t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", d.id).Run() }) // it may not have been made
		out, err := exec.CommandContext(t.Context(), "docker", append(args, debianImage, "/lib/systemd/systemd")...).CombinedOutput()
		if err == nil {
			d.sh("i=0; until systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)'; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done")
			return d
		}
		last = fmt.Errorf("docker run: %w\n%s", err, out)
	}
	t.Fatalf("systemd does not run in a container here: %v", last)
	return nil
}

// sh runs a script in the container and returns its output. It fails the test if the script fails.
func (d *debian) sh(script string) string {
	d.Helper()
	out, err := exec.CommandContext(d.Context(), "docker", "exec", d.id, "sh", "-euc", script).CombinedOutput()
	if err != nil {
		d.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// want checks what a script prints.
func (d *debian) want(script, want string) {
	d.Helper()
	if got := d.sh(script); got != want {
		d.Errorf("%s\nprints\n%s\nwant\n%s", script, got, want)
	}
}
