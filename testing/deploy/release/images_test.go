package release

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/compose"
)

// checkImages loads the images, compares how they are run with what deploy/Dockerfile says, and runs that of this machine.
func checkImages(t *testing.T, dir string) {
	engine, err := compose.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	archive := t.TempDir()
	run(t, "tar", "-xzf", filepath.Join(dir, base+"linux_amd64.tar.gz"), "-C", archive)
	const fromDockerfile = "rollcall-test/dockerfile:local"
	if err := engine.BuildRollcall(t.Context(), fromDockerfile, filepath.Join(archive, base+"linux_amd64", "rollcall")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", fromDockerfile).Run() }) // what cannot be removed is reused
	want := strings.ReplaceAll(config(t, fromDockerfile), `"org.opencontainers.image.version":"dev"`, `"org.opencontainers.image.version":"`+version+`"`)
	for _, arch := range []string{"amd64", "arm64"} {
		tag := "rollcall:0.1.0-" + arch
		run(t, "docker", "load", "--input", filepath.Join(dir, base+"linux_"+arch+".image.tar"))
		t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", tag).Run() })
		if got := config(t, tag); got != want {
			t.Errorf("the image for %s is run with\n%s\nand deploy/Dockerfile says\n%s", arch, got, want)
		}
		if got := strings.TrimSpace(run(t, "docker", "image", "inspect", "--format", "{{.Os}} {{.Architecture}}", tag)); got != "linux "+arch {
			t.Errorf("the image for %s is for %s", arch, got)
		}
	}
	strict := []string{"run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "rollcall:0.1.0-amd64"}
	if got := run(t, "docker", append(strict, "version")...); !strings.HasPrefix(got, "rollcall "+version+" ") {
		t.Errorf("the image calls itself %s", got)
	}
}

// config returns how an image is run, as Docker shows it in JSON. Docker writes down the image of a build too, which is left out.
func config(t *testing.T, tag string) string {
	t.Helper()
	format := `{{json .Config.User}} {{json .Config.Env}} {{json .Config.Volumes}} {{json .Config.ExposedPorts}} {{json .Config.Healthcheck}} {{json .Config.StopSignal}} ` +
		`{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Labels}} {{json .Config.WorkingDir}}`
	return strings.TrimSpace(run(t, "docker", "image", "inspect", "--format", format, tag))
}
