package docs

import (
	"embed"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

//go:embed node
var stubs embed.FS

// project lays out the pages' TypeScript as JavaScript in a directory, each block in the file that its first line names, with the stand-ins for the
// packages that it imports.
func project(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("package.json", `{"type":"module"}`)
	// The alias @/ leads to the project's root.
	write("node_modules/@/lib/package.json", `{"type":"module","exports":{"./*":"./*.js"}}`)
	write("node_modules/@/rollcall/package.json", `{"type":"module","exports":{"./*":"./*"}}`)
	for _, name := range []string{"rollcall-client.js", "sync-status-indicator.js"} {
		text, err := os.ReadFile(filepath.Join(root, "internal/httpapi/web/static", name))
		if err != nil {
			t.Fatal(err)
		}
		write("node_modules/@/rollcall/"+name, string(text))
	}
	for name, to := range map[string]string{"ioredis": `"./index.js"`, "redis": `"./index.js"`, "livekit-server-sdk": `"./index.js"`, "react": `{".":"./index.js","./jsx-runtime":"./index.js"}`} {
		write("node_modules/"+name+"/package.json", `{"type":"module","exports":`+to+`}`)
	}
	err := fs.WalkDir(stubs, "node", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := stubs.ReadFile(path)
		name := strings.TrimPrefix(path, "node/")
		if strings.Contains(name, "/") {
			name = "node_modules/" + name
		}
		write(name, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for language, loader := range map[string]api.Loader{"ts": api.LoaderTS, "tsx": api.LoaderTSX} {
		each(t, language, func(p page, text string) {
			named := regexp.MustCompile(`^// (\S+)\.tsx?\n`).FindStringSubmatch(text)
			if named == nil {
				t.Fatalf("%s: the block does not begin with its file's name:\n%s", p.name, text)
			}
			made := api.Transform(text, api.TransformOptions{Loader: loader, JSX: api.JSXAutomatic, Format: api.FormatESModule, Sourcefile: named[1]})
			if len(made.Errors) > 0 {
				t.Fatalf("%s: %+v", p.name, made.Errors)
			}
			name := named[1] + ".js"
			if strings.HasPrefix(name, "lib/") {
				name = "node_modules/@/" + name
			}
			write(name, string(made.Code))
		})
	}
	return dir
}

// nodeJS returns the path of Node.js. It must be 18 or newer.
func nodeJS(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node.js is missing: run make deps")
	}
	return path
}

// TestTypeScriptConsumersHoldTheKeys runs the unchanged consumers through the same events as the Python one.
func TestTypeScriptConsumersHoldTheKeys(t *testing.T) {
	t.Parallel()
	node := nodeJS(t)
	for _, name := range []string{"feed-ioredis", "feed-node-redis"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holdsTheKeys(t, name, func(url string) func() map[string]room {
				return converse(t, project(t), []string{"REDIS_URL=" + url}, node, "consumer.js", name)
			})
		})
	}
}

// envLocal returns the variables that the pages put into an app's environment, with these values.
func envLocal(t *testing.T, values map[string]string) (env []string) {
	t.Helper()
	each(t, "env", func(p page, text string) {
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, "=")
			value, known := values[name]
			if !known {
				t.Errorf("%s: the test has no value for %s", p.name, name)
			}
			env = append(env, name+"="+value)
		}
	})
	if len(env) != len(values) {
		t.Errorf("the pages set %q, the app needs %d variables", env, len(values))
	}
	return env
}

// TestNextApp runs the route handlers and the component: people appear and disappear as they come and go, also after the node was away.
func TestNextApp(t *testing.T) {
	t.Parallel()
	node := nodeJS(t)
	server := redistest.Start(t)
	n, fake := onRedis(t, program(), server.URL())
	fake.Join("a room", fakelivekit.Who{Identity: "ada"})
	ask := converse(t, project(t), envLocal(t, map[string]string{"REDIS_URL": server.URL(), "ROLLCALL_ADDR": n.URL(), "ROLLCALL_TOKEN": "",
		"LIVEKIT_API_KEY": fakelivekit.DefaultKey, "LIVEKIT_API_SECRET": fakelivekit.DefaultSecret}), node, "app.js")
	shows := func(want string) {
		t.Helper()
		eventually.True(t, "the component shows "+want, func() bool {
			now := ask()
			all := names(now)
			return now["shown"].SID == "right" && strings.Join(all["shown"], " ") == want && strings.Join(all["read"], " ") == want && strings.Join(all["readme"], " ") == want
		})
	}
	shows("ada")
	fake.Join("a room", fakelivekit.Who{Identity: "alan"})
	shows("ada alan")
	n.Terminate()
	n.Up()
	fake.Leave("a room", "ada")
	shows("alan")
	fake.DeleteRoom("a room")
	shows("")
}
