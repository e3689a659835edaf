package chart

import (
	"crypto/x509"
	"flag"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

var update = flag.Bool("update", false, "with DEPLOY=1: write what Helm makes of the chart to testdata")

// cases returns the names of the values in testdata.
func cases(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values in testdata: %v", err)
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".values.yaml"))
	}
	return names
}

// rendered returns what Helm made of the chart for one of the cases.
func rendered(t *testing.T, name string) []object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".rendered.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func must(t *testing.T, all []object, kind, suffix string) object {
	t.Helper()
	o, err := find(all, kind, suffix)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestRenderedIsCurrent checks that testdata holds what Helm makes of the chart as it is now, without Helm.
func TestRenderedIsCurrent(t *testing.T) {
	t.Parallel()
	for _, name := range cases(t) {
		want, err := digest("testdata/" + name + ".values.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("testdata/" + name + ".rendered.yaml")
		if err != nil {
			t.Error(err)
		} else if !strings.HasPrefix(string(text), digestMark+want+"\n") {
			t.Errorf("%s was not rendered from the chart as it is now: run DEPLOY=1 go test ./testing/deploy/chart -run TestHelm -update", name)
		}
	}
}

// secretDir is where the pods have their files with secrets.
const secretDir = "/etc/rollcall/secrets/"

// settings returns the variables and arguments of a pod, with the places of the files that it mounts: certificates for these hosts, and
// secrets. The LiveKit project has further keys if further.
func settings(t *testing.T, spec pod, podName string, further bool, hosts ...string) (env, args []string) {
	t.Helper()
	env, args, err := spec.Containers[0].command(podName)
	if err != nil {
		t.Fatal(err)
	}
	volume, err := spec.secretFiles()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := volume.files(given(volume, further))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, all := range []map[string]string{secret, certificates(t, hosts...)} {
		for name, text := range all {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, v := range env {
		env[i] = strings.Replace(v, secretDir, dir+"/", 1)
	}
	for i, arg := range args {
		if name, path, ok := strings.Cut(arg, "=/etc/rollcall/"); ok {
			args[i] = name + "=" + filepath.Join(dir, filepath.Base(path))
		}
	}
	return env, args
}

// certificates returns the entries of a Secret of TLS for these hosts.
func certificates(t *testing.T, hosts ...string) map[string]string {
	t.Helper()
	now := time.Now()
	made, err := authority.New("test", now, now.Add(90*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := made.Issue("node", hosts, now, now.Add(60*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"ca.crt": string(made.Pair().Cert), "tls.crt": string(pair.Cert), "tls.key": string(pair.Key)}
}

// given returns Secrets with a plausible value for each file of secrets. Further keys are in them if further.
func given(volume projection, further bool) secrets {
	values := map[string]string{"livekit-api-key": "APIabc", "livekit-api-secret": strings.Repeat("s", 32), "redis-url": "rediss://:password@redis:6379/0",
		"admin-token": strings.Repeat("t", 32)}
	if further {
		values["livekit-keys"] = "old: " + strings.Repeat("o", 32)
	}
	all := secrets{}
	for _, source := range volume.Sources {
		s := source.Secret
		if all[s.Name] == nil {
			all[s.Name] = map[string]string{}
		}
		for _, item := range s.Items {
			if value, ok := values[item.Path]; ok {
				all[s.Name][item.Key] = value + "\n" // as echo and editors write it
			}
		}
	}
	return all
}

// TestRollcallAcceptsThePods reads the arguments and variables of each pod as rollcall serve does. The Secret of LiveKit has further keys in every
// second pod.
func TestRollcallAcceptsThePods(t *testing.T) {
	t.Parallel()
	for _, name := range cases(t) {
		set := must(t, rendered(t, name), "StatefulSet", "")
		ids := map[string]bool{}
		for i := range set.Spec.Replicas {
			podName := set.Metadata.Name + "-" + strconv.Itoa(i)
			env, args := settings(t, set.Spec.Template.Spec, podName, i%2 == 1, podName)
			loaded := nodetest.Load(t, env, args[1:]...)
			if args[0] != "serve" || len(loaded.Warnings) > 0 && name != "one" {
				t.Errorf("%s: %s warns %q", name, args[0], loaded.Warnings)
			}
			if l := loaded.Config.LiveKit; l.APIKey != "APIabc" || l.APISecret == "" || len(l.Keys) != i%2 {
				t.Errorf("%s: %s has the key %s and %d others", name, podName, l.APIKey, len(l.Keys))
			}
			ids[loaded.Config.NodeID] = true
			checkNode(t, name, set, podName, loaded.Config)
		}
		if len(ids) != set.Spec.Replicas {
			t.Errorf("%s: %d pods have the names %v", name, set.Spec.Replicas, ids)
		}
	}
}

// TestSecretsAreFilesThatReload checks that a pod can read each secret anew: each is a file of one mounted volume, which only the pod's group may
// read, and which no subPath keeps from changing.
func TestSecretsAreFilesThatReload(t *testing.T) {
	t.Parallel()
	for _, name := range cases(t) {
		spec := must(t, rendered(t, name), "StatefulSet", "").Spec.Template.Spec
		volume, err := spec.secretFiles()
		if err != nil {
			t.Fatal(err)
		}
		if volume.Mode != 0o440 || spec.SecurityContext.FSGroup != 65532 {
			t.Errorf("%s: files with the mode %o, the group %d", name, volume.Mode, spec.SecurityContext.FSGroup)
		}
		env, args := settings(t, spec, "pod-0", true, "pod-0")
		loaded := nodetest.Load(t, env, args[1:]...)
		files := loaded.Config.SecretFiles
		mounted := slices.ContainsFunc(spec.Containers[0].Mounts, func(m mount) bool {
			return m.Path+"/" == secretDir && m.SubPath == "" && m.ReadOnly
		})
		if !mounted || files.APIKey == "" || files.APISecret == "" || files.Keys == "" || (files.RedisURL == "" || files.AdminToken == "") && name != "one" {
			t.Errorf("%s: secrets are mounted: %v, files %+v", name, mounted, files)
		}
	}
}

// checkNode compares a pod's configuration with the StatefulSet around it.
func checkNode(t *testing.T, name string, set object, podName string, c config.Config) {
	t.Helper()
	spec := set.Spec.Template.Spec
	if stop := c.DrainDelay + 8*time.Second; time.Duration(spec.Grace)*time.Second < stop+2*time.Second {
		t.Errorf("%s: a stop may take %v, and Kubernetes kills after %d s", name, stop, spec.Grace)
	}
	if !slices.ContainsFunc(spec.Containers[0].Mounts, func(m mount) bool { return m.Path == c.DataDir && m.Name == "data" }) {
		t.Errorf("%s: nothing is mounted at the data directory %s", name, c.DataDir)
	}
	if set.Spec.Replicas == 1 {
		if !c.Alone() {
			t.Errorf("%s: one node waits for others: %+v", name, c)
		}
		return
	}
	if c.BootstrapExpect != set.Spec.Replicas || c.Insecure || !c.PeerTLS.Enabled() {
		t.Errorf("%s: --bootstrap-expect %d of %d replicas, insecure %v", name, c.BootstrapExpect, set.Spec.Replicas, c.Insecure)
	}
	host, port, err := net.SplitHostPort(c.NodeAdvertise)
	join, joinPort, joinErr := net.SplitHostPort(strings.Join(c.Join, ","))
	if err != nil || joinErr != nil || port != joinPort || host != podName+"."+join || !strings.HasPrefix(join, set.Spec.ServiceName+"."+set.Metadata.Namespace+".svc.") {
		t.Errorf("%s: %s advertises %s and joins %s", name, podName, c.NodeAdvertise, c.Join)
	}
}

// TestCertificateIsForTheNodes checks that cert-manager's certificate is for the names by which nodes are dialled.
func TestCertificateIsForTheNodes(t *testing.T) {
	t.Parallel()
	all := rendered(t, "full")
	set := must(t, all, "StatefulSet", "")
	cert := x509.Certificate{DNSNames: must(t, all, "Certificate", "-tls").Spec.DNSNames}
	env, args := settings(t, set.Spec.Template.Spec, "presence-4", false, "presence-4")
	loaded := nodetest.Config(t, env, args[1:]...)
	for _, addr := range append(loaded.Join, loaded.NodeAdvertise) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.VerifyHostname(host); err != nil {
			t.Errorf("nodes dial %s: %v", host, err)
		}
	}
}

// TestPodsStartTogetherAndArePoor checks what makes the cluster start at all, and that a pod may do nothing that it need not.
func TestPodsStartTogetherAndArePoor(t *testing.T) {
	t.Parallel()
	no := func(b *bool) bool { return b != nil && !*b }
	for _, name := range cases(t) {
		all := rendered(t, name)
		set := must(t, all, "StatefulSet", "")
		if headless := must(t, all, "Service", "-nodes"); set.Spec.PodManagementPolicy != "Parallel" || headless.Metadata.Name != set.Spec.ServiceName ||
			headless.Spec.ClusterIP != "None" || !headless.Spec.PublishNotReady {
			t.Errorf("%s: the founders cannot find each other: %q, %+v", name, set.Spec.PodManagementPolicy, headless.Spec)
		}
		spec := set.Spec.Template.Spec
		c := spec.Containers[0]
		if !no(spec.ServiceLinks) || !no(spec.Token) || !spec.SecurityContext.RunAsNonRoot || spec.SecurityContext.RunAsUser != 65532 ||
			!no(c.SecurityContext.Escalation) || !c.SecurityContext.ReadOnly || !slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: the pods may do too much: %+v %+v", name, spec.SecurityContext, c.SecurityContext)
		}
		checkMemory(t, name, c)
	}
}

// checkMemory checks that GOMEMLIMIT is between four fifths and nine tenths of the limit, rounded.
func checkMemory(t *testing.T, name string, c container) {
	t.Helper()
	limit, err := mebibytes(c.Resources.Limits["memory"])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Env {
		if v.Name != "GOMEMLIMIT" {
			continue
		}
		soft, err := mebibytes(strings.TrimSuffix(v.Value, "B"))
		if err != nil || soft*10 > limit*9 || soft*10 < limit*8 {
			t.Errorf("%s: GOMEMLIMIT is %s of %s: %v", name, v.Value, c.Resources.Limits["memory"], err)
		}
		return
	}
	t.Errorf("%s: no GOMEMLIMIT", name)
}

func mebibytes(s string) (int, error) {
	if whole, ok := strings.CutSuffix(s, "Gi"); ok {
		n, err := strconv.Atoi(whole)
		return n * 1024, err
	}
	return strconv.Atoi(strings.TrimSuffix(s, "Mi"))
}
