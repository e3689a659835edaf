package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// heavy skips a test unless DEPLOY=1.
func heavy(t *testing.T) {
	t.Helper()
	if os.Getenv("DEPLOY") == "" {
		t.Skip("DEPLOY=1 runs it (make check-deploy): it builds Helm, or starts containers")
	}
}

// run runs a command and returns what it wrote to stdout. The error has what it wrote to stderr.
func run(ctx context.Context, stdin []byte, command ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), errors.Join(ctx.Err(), err), out.String(), errs.String())
	}
	return out.Bytes(), nil
}

// tool returns the path of a program of the module testing/deploy/helm. It builds the program unless bin/ has one that is newer than
// the module.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if current(path, "../helm/go.mod", "../helm/go.sum", "../helm/main.go") {
		return path
	}
	t.Logf("building %s (the first time some minutes)", name)
	if _, err := run(t.Context(), nil, "go", "build", "-C", "../helm", "-ldflags=-s -w", "-o", path, pkg); err != nil {
		t.Fatal(err)
	}
	return path
}

// current reports whether the file exists and is newer than its sources.
func current(path string, sources ...string) bool {
	made, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, source := range sources {
		if s, err := os.Stat(source); err != nil || s.ModTime().After(made.ModTime()) {
			return false
		}
	}
	return true
}

// TestHelm renders the chart with Helm for the values in testdata. Helm's lint and Kubernetes' types must accept it.
func TestHelm(t *testing.T) {
	heavy(t)
	helm, strict := tool(t, "helm", "helm.sh/helm/v4/cmd/helm"), tool(t, "manifests-strict", ".")
	for _, name := range cases(t) {
		values := "testdata/" + name + ".values.yaml"
		if _, err := run(t.Context(), nil, helm, "lint", "--strict", chartDir, "-f", values); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		made, err := run(t.Context(), nil, helm, "template", "rollcall", chartDir, "-f", values)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kinds, err := run(t.Context(), made, strict)
		if err != nil || !strings.Contains(string(kinds), "apps/v1 StatefulSet ") {
			t.Errorf("%s: %s, %v", name, kinds, err)
		}
		sum, err := digest(values)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "testdata/"+name+".rendered.yaml", append([]byte(digestMark+sum+"\n"), made...))
	}
	if _, err := run(t.Context(), []byte("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {publishNotReadyAddress: true}\n"), strict); err == nil ||
		!strings.Contains(err.Error(), "unknown field") {
		t.Errorf("the decoder accepts a misspelt field: %v", err)
	}
}

// TestReadmeInstalls renders the chart with the values that its README gives.
func TestReadmeInstalls(t *testing.T) {
	heavy(t)
	text, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("README.md has no block of values")
	}
	made, err := run(t.Context(), []byte(strings.ReplaceAll("\n"+block, "\n   ", "\n")), tool(t, "helm", "helm.sh/helm/v4/cmd/helm"), "template", "rollcall", chartDir, "-n", "rollcall", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse(made)
	if err != nil {
		t.Fatal(err)
	}
	set := must(t, all, "StatefulSet", "rollcall")
	if _, args, err := set.Spec.Template.Spec.Containers[0].command("rollcall-0"); err != nil ||
		!strings.Contains(strings.Join(args, " "), "--join=rollcall-nodes.rollcall.svc.cluster.local:7000 ") || !strings.Contains(string(text), "*.rollcall-nodes.rollcall.svc.cluster.local") {
		t.Errorf("the certificate of README.md is not for the nodes of %q: %v", args, err)
	}
}

func compare(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is not what Helm makes of the chart: run this test with -update, and read the difference (%v)", file, err)
	}
}

// TestHelmRefuses gives Helm values that cannot work. Each answer must say what to do.
func TestHelmRefuses(t *testing.T) {
	heavy(t)
	helm := tool(t, "helm", "helm.sh/helm/v4/cmd/helm")
	for set, want := range map[string]string{
		"image.repository=":                  "image.repository is missing: build deploy/Dockerfile",
		"livekit.host=":                      "livekit.host is missing: give",
		"livekit.existingSecret=":            "livekit.existingSecret is missing: make a Secret",
		"redis.existingSecret=":              "give one of redis.existingSecret",
		"redis.url=redis://redis:6379":       "give one of redis.existingSecret",
		"redis.url=redis://:secret@redis":    "redis/url",
		"tls.existingSecret=":                "more than one node needs TLS",
		"tls.insecure=true":                  "tls.existingSecret and tls.insecure exclude each other",
		"config.node-id=n1":                  "config.node-id is the chart's own setting",
		"config.livekit-api-key-file=/k":     "config.livekit-api-key-file is the chart's own setting",
		"replicas=0":                         "replicas",
		"replicaCount=3":                     "replicaCount",
		"resources.limits.memory=1.5Gi":      "memory",
		"drainDelaySeconds=90":               "drainDelaySeconds",
		"redis.tls.clientCertificate=true":   "redis.tls.clientCertificate needs",
		"tls.certManager.renewBefore=a week": "renewBefore",
	} {
		_, err := run(t.Context(), nil, helm, "template", "rollcall", chartDir, "-f", "testdata/three.values.yaml", "--set", set)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v, want %q", set, err, want)
		}
	}
	if _, err := run(t.Context(), nil, helm, "template", "rollcall", chartDir, "-f", "testdata/one.values.yaml", "--set", "serviceMonitor.enabled=true"); err == nil ||
		!strings.Contains(err.Error(), "serviceMonitor.enabled needs a token") {
		t.Errorf("a ServiceMonitor without a token: %v", err)
	}
}
