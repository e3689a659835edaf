package release

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// text returns a file of the repository.
func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// parse decodes a YAML file of the repository. A duplicate key is an error.
func parse(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestOperationsQuotesTheUnit checks that docs/operations.md shows the unit that the packages install. testing/docs passes that text to
// systemd-analyze.
func TestOperationsQuotesTheUnit(t *testing.T) {
	t.Parallel()
	if unit := text(t, "deploy/systemd/rollcall.service"); !strings.Contains(text(t, "docs/operations.md"), "```ini\n"+unit+"```\n") {
		t.Error("docs/operations.md does not quote deploy/systemd/rollcall.service as it is: copy it")
	}
}

// TestUnit checks what the packages and the documents rely on.
func TestUnit(t *testing.T) {
	t.Parallel()
	lines := strings.Split(text(t, "deploy/systemd/rollcall.service"), "\n")
	for _, want := range []string{
		"ExecStart=/usr/bin/rollcall serve --config /etc/rollcall/rollcall.yaml", "ExecReload=/bin/kill -HUP $MAINPID", "EnvironmentFile=-/etc/rollcall/env", "User=rollcall",
		"StateDirectory=rollcall", "ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "RestartPreventExitStatus=2 3", "UMask=0077",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
}

// content is one file of the packages, as nfpm.yaml lists it.
type content struct {
	Src, Dst, Type, Packager string
	FileInfo                 struct {
		Mode         uint32
		Owner, Group string
	} `yaml:"file_info"`
}

// TestPackagedFiles checks the files of the packages: those with secrets and settings have modes that keep others out, and survive
// upgrades.
func TestPackagedFiles(t *testing.T) {
	t.Parallel()
	var config struct {
		Contents []content
		Scripts  map[string]string
	}
	parse(t, "deploy/packages/nfpm.yaml", &config)
	modes := map[string]string{}
	for _, c := range config.Contents {
		modes[c.Dst] = strings.TrimSpace(strings.Join([]string{c.Type, fileMode(c.FileInfo.Mode), c.FileInfo.Owner, c.FileInfo.Group}, " "))
	}
	for dst, want := range map[string]string{
		"/usr/bin/rollcall":                        "0755",
		"/etc/rollcall":                            "dir 0750 root rollcall",
		"/etc/rollcall/rollcall.yaml":              "config|noreplace 0640 root rollcall",
		"/etc/rollcall/env":                        "config|noreplace 0600 root root",
		"/usr/lib/systemd/system/rollcall.service": "0644", "/usr/share/man/man1/": "0644",
		"/usr/share/bash-completion/completions/rollcall": "0644", "/usr/share/fish/vendor_completions.d/rollcall.fish": "0644",
		"/usr/share/zsh/vendor-completions/_rollcall": "0644", "/usr/share/zsh/site-functions/_rollcall": "0644",
	} {
		if got := strings.Join(strings.Fields(modes[dst]), " "); got != want {
			t.Errorf("%s is %q in nfpm.yaml, want %q", dst, got, want)
		}
	}
	for _, script := range config.Scripts {
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(root, "deploy/packages", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	if len(config.Scripts) != 4 {
		t.Errorf("%d scripts, want 4", len(config.Scripts))
	}
}

// fileMode writes a mode as in chmod.
func fileMode(mode uint32) string {
	digits := []byte("0000")
	for i := range digits {
		digits[3-i] += byte(mode >> (3 * i) & 7)
	}
	return string(digits)
}

// TestSettingsOfThePackages checks that the settings to fill in are accepted once they are filled in, and that each line that is commented
// out is accepted too.
func TestSettingsOfThePackages(t *testing.T) {
	t.Parallel()
	bin := build(t)
	env := strings.NewReplacer("LIVEKIT_API_KEY=", "LIVEKIT_API_KEY=key", "LIVEKIT_API_SECRET=", "LIVEKIT_API_SECRET="+strings.Repeat("s", 36),
		"REDIS_URL=", "REDIS_URL=redis://127.0.0.1:6379/0").Replace(text(t, "deploy/packages/env"))
	settings := regexp.MustCompile(`(?m)^# ([a-z-]+: )`).ReplaceAllString(text(t, "deploy/packages/rollcall.yaml"), "$1")
	dir := t.TempDir()
	cert := exec.CommandContext(t.Context(), bin, "cert", "--dir", dir, "n1=n1.internal")
	if out, err := cert.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "rollcall.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(settings, "/etc/rollcall/", dir+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "check-config", "--config", file)
	for line := range strings.Lines(env) {
		if !strings.HasPrefix(line, "#") && strings.Contains(line, "=") {
			cmd.Env = append(cmd.Env, strings.TrimSpace(line))
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("livekit.example.com")) || !bytes.Contains(out, []byte("n1.internal:7000")) {
		t.Errorf("%v\n%s\nof\n%s", err, out, settings)
	}
}

// build builds rollcall from the build cache: without cgo, as everything else does that runs without the race detector.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "rollcall")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, "./cmd/rollcall")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build rollcall: %v\n%s", err, out)
	}
	return bin
}

// TestToolsAreNoDependencies checks that the tools of a release stay out of the project's go.mod, and are pinned in their own.
func TestToolsAreNoDependencies(t *testing.T) {
	t.Parallel()
	own := text(t, "deploy/release/go.mod")
	for _, module := range []string{"github.com/goreleaser/nfpm", "github.com/google/go-containerregistry", "github.com/CycloneDX/cyclonedx-gomod"} {
		if strings.Contains(text(t, "go.mod"), module) {
			t.Errorf("go.mod requires %s: it belongs into deploy/release/go.mod", module)
		}
		if !strings.Contains(own, module) {
			t.Errorf("deploy/release/go.mod does not pin %s", module)
		}
	}
}
