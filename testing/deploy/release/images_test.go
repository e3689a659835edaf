package release

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// checkImages loads the images, compares how they are run with what deploy/Dockerfile says, and runs that of this machine.
func checkImages(t *testing.T, dir string) {
	const fromDockerfile = "rollcall-test/dockerfile:local"
	buildDockerfile(t, dir, fromDockerfile)
	want := strings.ReplaceAll(config(t, fromDockerfile), `"org.opencontainers.image.version":"dev"`, `"org.opencontainers.image.version":"`+version+`"`)
	for _, arch := range []string{"amd64", "arm64"} {
		tag := "rollcall:9.8.7-" + arch
		run(t, "docker", "load", "--input", filepath.Join(dir, base+"linux_"+arch+".image.tar"))
		t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", tag).Run() })
		if got := config(t, tag); got != want {
			t.Errorf("the image for %s is run with\n%s\nand deploy/Dockerfile says\n%s", arch, got, want)
		}
		if got := strings.TrimSpace(run(t, "docker", "image", "inspect", "--format", "{{.Os}} {{.Architecture}}", tag)); got != "linux "+arch {
			t.Errorf("the image for %s is for %s", arch, got)
		}
	}
	strict := []string{"run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "rollcall:9.8.7-amd64"}
	if got := run(t, "docker", append(strict, "version")...); !strings.HasPrefix(got, "rollcall "+version+" ") {
		t.Errorf("the image calls itself %s", got)
	}
}

// buildDockerfile builds an image of the archive's binary with the last stage of deploy/Dockerfile, which needs no other image.
func buildDockerfile(t *testing.T, dir, tag string) {
	t.Helper()
	in := t.TempDir()
	err := errors.Join(os.MkdirAll(filepath.Join(in, "out/data"), 0o755), os.MkdirAll(filepath.Join(in, "etc/ssl/certs"), 0o755),
		os.WriteFile(filepath.Join(in, "etc/ssl/certs/ca-certificates.crt"), nil, 0o644))
	whole := text(t, "deploy/Dockerfile")
	stage := strings.ReplaceAll(whole[strings.LastIndex(whole, "\nFROM ")+1:], "--from=build ", "")
	if err = errors.Join(err, os.WriteFile(filepath.Join(in, "Dockerfile"), []byte(stage), 0o644)); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "-xzf", filepath.Join(dir, base+"linux_amd64.tar.gz"), "-C", filepath.Join(in, "out"), "--strip-components=1", base+"linux_amd64/rollcall")
	run(t, "docker", "build", "--quiet", "--tag", tag, in)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", tag).Run() }) // what stays is replaced next time
}

// config returns how an image is run, as Docker shows it in JSON. Docker writes down the image of a build too, which is left out.
func config(t *testing.T, tag string) string {
	t.Helper()
	format := `{{json .Config.User}} {{json .Config.Env}} {{json .Config.Volumes}} {{json .Config.ExposedPorts}} {{json .Config.Healthcheck}} {{json .Config.StopSignal}} ` +
		`{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Labels}} {{json .Config.WorkingDir}}`
	return strings.TrimSpace(run(t, "docker", "image", "inspect", "--format", format, tag))
}
