package chart

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// The names in three.values.yaml.
const (
	liveKitHost = "livekit.default.svc.cluster.local"
	redisHost   = "redis.default.svc.cluster.local"
	service     = "rollcall.default.svc.cluster.local"
)

// kube starts the pods of a StatefulSet as containers of one network: with their arguments, variables, Secrets, volumes, names, user and
// limits. The network gives a container that starts again another address, as Kubernetes does.
type kube struct {
	t       *testing.T
	name    string // of the network, and the beginning of all containers' names
	set     object
	secrets secrets
	dir     string // of the Secrets' files
	key     string // of the test's own requests to LiveKit
}

// TestPods starts the rendered pods with a real Redis and a real LiveKit. It shows that one pod alone waits, that three become ready,
// that webhooks arrive before, while and after each pod is replaced by one with another address, and that secrets rotate without a restart.
func TestPods(t *testing.T) {
	heavy(t)
	compose.Need(t.Context(), t)
	k := newKube(t)
	k.support()
	k.start(0)
	eventually.Nil(t, time.Minute, "the first pod waits for the others", func() error {
		_, err := k.exec(0, "ready")
		if err == nil || !strings.Contains(err.Error(), "1 of --bootstrap-expect 3 are here") {
			return fmt.Errorf("ready says %w", err)
		}
		return nil
	})
	k.start(1)
	k.start(2)
	for i := range k.set.Spec.Replicas {
		k.awaitReady(i)
	}
	k.awaitCluster()
	k.webhook("installed")
	for i := k.set.Spec.Replicas - 1; i >= 0; i-- { // the order of a rolling update
		before := k.address(i)
		k.stop(i)
		k.placeholder(i)
		k.webhook(fmt.Sprintf("without-%d", i))
		k.start(i)
		if after := k.address(i); after == before {
			t.Errorf("pod %d has its old address %s again: the test shows less than it should", i, after)
		}
		k.awaitReady(i)
	}
	k.awaitCluster()
	k.webhook("rolled")
	k.rotate()
}

// rotate replaces LiveKit's key and the admin token in the order that the chart's README gives. No pod may restart.
func (k *kube) rotate() {
	k.t.Helper()
	const later = "APIlater"
	began := k.begun()
	old, both := compose.Key, compose.Key+": "+compose.Secret+"\n"+later+": "+compose.Secret
	liveKit := k.secrets["rollcall-livekit"]
	k.liveKit(old, both)
	liveKit["keys"] = later + ": " + compose.Secret
	k.reload("Changed: livekit-keys.")
	k.liveKit(later, both)
	k.webhook("later-key")
	liveKit["api-key"], liveKit["keys"] = later, old+": "+compose.Secret
	k.reload("Changed: livekit-api-key, livekit-keys.")
	delete(liveKit, "keys")
	k.reload("Changed: livekit-keys.")
	k.key = later
	k.liveKit(later, later+": "+compose.Secret)
	k.webhook("old-key-gone")
	k.secrets["rollcall-admin"]["admin-token"] = strings.Repeat("n", 32)
	k.reload("Changed: admin-token.")
	k.awaitCluster() // asks with the new token
	if now := k.begun(); now != began {
		k.t.Errorf("pods have restarted: they began at %s, and now at %s", began, now)
	}
}

// reload gives each pod the files of the present Secrets, as kubelets do some time after a change, and then runs rollcall reload in it. Without
// another token, that sends the one in the pod's file.
func (k *kube) reload(want string) {
	k.t.Helper()
	for i := range k.set.Spec.Replicas {
		k.project(i)
		if out, err := k.exec(i, "reload"); err != nil || !strings.Contains(out, want) {
			k.t.Errorf("rollcall reload in %s: %q, %v, want %q", k.pod(i), out, err, want)
		}
	}
}

// begun returns when the pods began.
func (k *kube) begun() string {
	k.t.Helper()
	all := []string{"inspect", "--format", "{{.State.StartedAt}} {{.RestartCount}}"}
	for i := range k.set.Spec.Replicas {
		all = append(all, k.name+"-"+k.pod(i))
	}
	return k.docker(all...)
}

func newKube(t *testing.T) *kube {
	t.Helper()
	k := &kube{t: t, name: "rollcall-chart-" + strings.ToLower(rand.Text()[:8]), dir: t.TempDir(), key: compose.Key, set: must(t, rendered(t, "three"), "StatefulSet", "")}
	domain := "rollcall-nodes.default.svc.cluster.local"
	k.secrets = secrets{
		"rollcall-livekit": {"api-key": compose.Key, "api-secret": compose.Secret},
		"rollcall-redis":   {"redis-url": "redis://" + redisHost + ":6379/0"},
		"rollcall-admin":   {"admin-token": strings.Repeat("t", 32)},
		"rollcall-tls":     certificates(t, "*."+domain, domain),
	}
	t.Cleanup(k.remove)
	k.docker("network", "create", k.name)
	return k
}

// support starts Redis and LiveKit under the names that the values give.
func (k *kube) support() {
	k.docker("run", "-d", "--name", k.name+"-redis", "--network", k.name, "--network-alias", redisHost, "-p", "127.0.0.1::6379",
		compose.RedisImage, "redis-server", "--maxmemory-policy", "noeviction", "--protected-mode", "no")
	k.liveKit(compose.Key, compose.Key+": "+compose.Secret)
}

// liveKit starts LiveKit, or replaces it by one with other pairs of key and secret, one a line. It signs webhooks with key.
func (k *kube) liveKit(key, pairs string) {
	k.t.Helper()
	_, _ = k.try("rm", "-f", k.name+"-livekit") // the first time there is none
	settings := fmt.Sprintf("port: 7880\nkeys:\n  %s\nrtc: {tcp_port: 7881, udp_port: 7882, use_external_ip: false}\nwebhook:\n  api_key: %s\n  urls: [http://%s:8080/api/livekit-webhook]\n",
		strings.ReplaceAll(pairs, "\n", "\n  "), key, service)
	k.docker("run", "-d", "--name", k.name+"-livekit", "--network", k.name, "--network-alias", liveKitHost, "-p", "127.0.0.1::7880",
		"-e", "LIVEKIT_CONFIG="+settings, compose.LiveKitImage, "--node-ip", "127.0.0.1")
}

// start creates and starts a pod. Its volume stays from one start to the next.
func (k *kube) start(i int) {
	k.t.Helper()
	podName := k.pod(i)
	spec := k.set.Spec.Template.Spec
	c := spec.Containers[0]
	env, args, err := c.command(podName)
	if err != nil {
		k.t.Fatal(err)
	}
	domain := k.set.Spec.ServiceName + "." + k.set.Metadata.Namespace + ".svc.cluster.local"
	user := strconv.Itoa(spec.SecurityContext.RunAsUser)
	command := []string{"run", "-d", "--name", k.name + "-" + podName, "--hostname", podName, "--network", k.name,
		"--network-alias", podName + "." + domain, "--network-alias", domain, "--network-alias", service,
		"--user", user + ":" + user, "--read-only", "--security-opt", "no-new-privileges", "--stop-timeout", strconv.Itoa(spec.Grace)}
	for _, capability := range c.SecurityContext.Capabilities.Drop {
		command = append(command, "--cap-drop", capability)
	}
	for _, v := range env {
		command = append(command, "-e", v)
	}
	for _, m := range c.Mounts {
		command = append(command, "-v", k.mount(i, m.Name, m.Path))
	}
	k.docker(append(append(command, compose.RollcallImage), args...)...)
}

// mount returns docker's mount for a volume of a pod: a named volume for a claim, files for a Secret.
func (k *kube) mount(i int, name, path string) string {
	k.t.Helper()
	for _, claim := range k.set.Spec.Claims {
		if claim.Metadata.Name == name {
			return k.name + "-" + name + "-" + strconv.Itoa(i) + ":" + path
		}
	}
	for _, v := range k.set.Spec.Template.Spec.Volumes {
		if v.Name != name {
			continue
		}
		if v.Projected != nil {
			k.project(i)
			return k.projected(i) + ":" + path + ":ro"
		}
		dir := filepath.Join(k.dir, v.Secret.Name)
		err := os.MkdirAll(dir, 0o755)
		for file, text := range k.secrets[v.Secret.Name] {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o444))
		}
		if err != nil {
			k.t.Fatal(err)
		}
		return dir + ":" + path + ":ro"
	}
	k.t.Fatalf("no volume %s", name)
	return ""
}

func (k *kube) projected(i int) string { return filepath.Join(k.dir, k.pod(i)) }

// project writes the files of a pod's projected volume as a kubelet does: with the volume's mode and the pod's group, in a directory of their
// own, to which a link is then moved, so that all files change at once.
func (k *kube) project(i int) {
	k.t.Helper()
	spec := k.set.Spec.Template.Spec
	volume, err := spec.secretFiles()
	if err != nil {
		k.t.Fatal(err)
	}
	files, err := volume.files(k.secrets)
	if err != nil {
		k.t.Fatal(err)
	}
	dir := k.projected(i)
	data := filepath.Join(dir, ".."+rand.Text())
	err = errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755), os.Mkdir(data, 0o755))
	for name, text := range files {
		file := filepath.Join(data, name)
		err = errors.Join(err, os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, os.FileMode(volume.Mode)), os.Chown(file, 0, spec.SecurityContext.FSGroup))
	}
	err = errors.Join(err, os.Symlink(filepath.Base(data), filepath.Join(dir, "..new")), os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
	for _, name := range []string{"livekit-api-key", "livekit-api-secret", "livekit-keys", "redis-url", "admin-token"} {
		link := filepath.Join(dir, name)
		if _, there := files[name]; !there {
			if gone := os.Remove(link); !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		} else if made := os.Symlink(filepath.Join("..data", name), link); !errors.Is(made, os.ErrExist) {
			err = errors.Join(err, made)
		}
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// stop ends a pod as Kubernetes does, and removes it. It must end in time and in order.
func (k *kube) stop(i int) {
	k.t.Helper()
	container := k.name + "-" + k.pod(i)
	k.docker("stop", container)
	if code := k.docker("inspect", "--format", "{{.State.ExitCode}}", container); code != "0" {
		k.t.Errorf("%s ended with exit code %s", k.pod(i), code)
	}
	k.docker("rm", container)
}

// placeholder takes the address that a pod has left.
func (k *kube) placeholder(i int) {
	k.docker("run", "-d", "--name", fmt.Sprintf("%s-placeholder-%d", k.name, i), "--network", k.name, compose.RedisImage)
}

func (k *kube) pod(i int) string { return k.set.Metadata.Name + "-" + strconv.Itoa(i) }

func (k *kube) address(i int) string {
	return k.docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", k.name+"-"+k.pod(i))
}

// exec runs a command of rollcall in a pod.
func (k *kube) exec(i int, command ...string) (string, error) {
	return k.try(append([]string{"exec", k.name + "-" + k.pod(i), "/rollcall"}, command...)...)
}

func (k *kube) awaitReady(i int) {
	k.t.Helper()
	eventually.Nil(k.t, time.Minute, k.pod(i)+" becomes ready", func() error { _, err := k.exec(i, "ready"); return err })
}

// awaitCluster waits until every pod sees every pod ready, and the same leader.
func (k *kube) awaitCluster() {
	k.t.Helper()
	eventually.Nil(k.t, time.Minute, "all pods see one cluster", func() error {
		leaders := map[string]bool{}
		for i := range k.set.Spec.Replicas {
			out, err := k.exec(i, "cluster", "--json")
			if err != nil {
				return err
			}
			var answer struct {
				Leader  string
				Members []struct{ ID, State string }
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil {
				return fmt.Errorf("read the answer of rollcall cluster: %w", err)
			}
			ready := 0
			for _, m := range answer.Members {
				if m.State == "ready" {
					ready++
				}
			}
			if leaders[answer.Leader] = true; answer.Leader == "" || ready != k.set.Spec.Replicas || len(leaders) > 1 {
				return fmt.Errorf("%s sees %s", k.pod(i), out)
			}
		}
		return nil
	})
}

// webhook creates rooms in LiveKit until one reaches Redis by its webhook: a sync may be faster with the first.
func (k *kube) webhook(prefix string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	store := redis.NewClient(&redis.Options{Addr: k.docker("port", k.name+"-redis", "6379/tcp")})
	defer store.Close()
	api := lksdk.NewRoomServiceClient("http://"+k.docker("port", k.name+"-livekit", "7880/tcp"), k.key, compose.Secret)
	for i := 0; ; i++ {
		room := fmt.Sprintf("%s-%d", prefix, i)
		eventually.Nil(k.t, time.Minute, "LiveKit creates a room", func() error {
			_, err := api.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: room})
			return err
		})
		eventually.Nil(k.t, time.Minute, room+" is in Redis", func() error { return store.Get(ctx, "rooms:states:"+room).Err() })
		feed, err := store.XRange(ctx, "rooms:events", "-", "+").Result()
		if err != nil {
			k.t.Fatal(err)
		}
		for _, m := range feed {
			if m.Values["room"] == room && m.Values["cause"] == "webhook" {
				return
			}
		}
	}
}

func (k *kube) docker(args ...string) string {
	k.t.Helper()
	out, err := k.try(args...)
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *kube) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.t.Context()), 2*time.Minute)
	defer cancel()
	out, err := run(ctx, nil, append([]string{"docker"}, args...)...)
	return strings.TrimSpace(string(out)), err
}

// remove ends everything. If the test failed, it first shows the ends of the pods' logs.
func (k *kube) remove() {
	ids, _ := k.try("ps", "-a", "-q", "--filter", "name="+k.name)
	for i := range k.set.Spec.Replicas {
		if k.t.Failed() {
			out, err := run(context.Background(), nil, "sh", "-c", `docker logs --tail 40 "$0" 2>&1`, k.name+"-"+k.pod(i))
			k.t.Logf("%s (%v):\n%s", k.pod(i), err, out)
		}
	}
	if ids != "" {
		if _, err := k.try(append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...); err != nil {
			k.t.Error(err)
		}
	}
	volumes, err := k.try("volume", "ls", "-q", "--filter", "name="+k.name)
	if err == nil && volumes != "" {
		_, err = k.try(append([]string{"volume", "rm"}, strings.Fields(volumes)...)...)
	}
	_, left := k.try("network", "rm", k.name)
	if err := errors.Join(err, left); err != nil {
		k.t.Error(err)
	}
}
