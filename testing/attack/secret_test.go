package attack

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestSecretsOfAnswers checks that no answer, metric or log line contains a secret, even if the request consisted of secrets.
func TestSecretsOfAnswers(t *testing.T) {
	t.Parallel()
	const other = "second-secret-of-more-than-32-characters"
	w := newWorld(t, options{flags: []string{"--log-level=debug"}, env: []string{"LIVEKIT_KEYS=key2: " + other}})
	w.people("mine", "ada")
	mod := moderator(t, "mine")
	var all strings.Builder
	for path := range reaches() {
		path = strings.ReplaceAll(path, "{room}", "mine")
		if strings.HasPrefix(path, "/api/events") {
			continue // an endless stream; the API's own tests check its content
		}
		for _, token := range []string{adminToken, mod, "x" + adminToken, adminToken + "x", fakelivekit.DefaultSecret} {
			for _, method := range []string{"GET", "POST", "PUT"} {
				a := w.ask(method, path, token, `{"action":"`+token+`"}`, nil)
				all.WriteString(a.body)
				for name, values := range a.header {
					all.WriteString(name + ": " + strings.Join(values, ", ") + "\n")
				}
			}
		}
	}
	all.WriteString(w.raw(t, "GET /"+adminToken+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	for _, secret := range []string{adminToken, fakelivekit.DefaultSecret, other, mod} {
		for where, text := range map[string]string{"an answer": all.String(), "the log": string(w.Output())} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has a secret: …%s", where, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

// TestSecretsOfTheConfiguration checks that check-config, whether it finds the configuration valid or not, and a node that does
// not start show no secret, wherever the secret was set.
func TestSecretsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-that-must-not-leak"
	for name, c := range map[string]struct{ args, env []string }{
		"the secrets' own settings": {nil, []string{"LIVEKIT_API_SECRET=" + secret, "ROLLCALL_ADMIN_TOKEN=" + secret, "LIVEKIT_KEYS=k: " + secret, "REDIS_URL=redis://u:" + secret + "@127.0.0.1:1/0"}},
		"as flags":                  {[]string{"--livekit-api-secret=" + secret, "--admin-token=" + secret, "--redis-url=rediss://:" + secret + "@127.0.0.1:1"}, nil},
		"a broken Redis URL":        {[]string{"--redis-url=redis://u:" + secret + "@127.0.0.1:port"}, nil},
		"a Redis URL's scheme":      {[]string{"--redis-url=http://u:" + secret + "@127.0.0.1"}, nil},
		"a Redis URL with a space":  {[]string{"--redis-url=redis://u:" + secret + "@127.0.0.1 :6379"}, nil},
		"a Redis query":             {[]string{"--redis-url=redis+sentinel://127.0.0.1:1/m?sentinel_password=" + secret}, nil},
		"LiveKit's host":            {[]string{"--livekit-host=https://u:" + secret + "@livekit.example.org"}, nil},
		"LIVEKIT_URL":               {nil, []string{"LIVEKIT_HOST=", "LIVEKIT_URL=wss://u:" + secret + "@livekit.example.org"}},
		"an origin":                 {[]string{"--cors-origins=https://u:" + secret + "@app.example.org"}, nil},
		"another origin":            {[]string{"--cors-origins=https://ok.example.org,u:" + secret + "@app.example.org"}, nil},
		"a node to join":            {[]string{"--join=u:" + secret + "@n1.example.org:7000"}, nil},
		"a node's URL to join":      {[]string{"--join=https://u:" + secret + "@n1.example.org:7000"}, nil},
		"an address":                {[]string{"--http-addr=u:" + secret + "@127.0.0.1:1"}, nil},
		"an address to show":        {[]string{"--node-advertise=u:" + secret + "@127.0.0.1:1"}, nil},
		"broken keys":               {nil, []string{"LIVEKIT_KEYS=k " + secret}},
		"broken YAML of keys":       {nil, []string{"LIVEKIT_KEYS={k: [" + secret + "}"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range [][]string{{"check-config"}, {"check-config", "--json"}} {
				cmd := exec.CommandContext(t.Context(), os.Getenv(nodetest.BinEnv), append(command, c.args...)...)
				cmd.Env = append([]string{"LIVEKIT_HOST=http://127.0.0.1:1", "LIVEKIT_API_KEY=k1", "LIVEKIT_API_SECRET=another-secret-of-at-least-32-characters", "ROLLCALL_EMBEDDED_REDIS=true"}, c.env...)
				out, _ := cmd.CombinedOutput() // many of these are refused
				if strings.Contains(string(out), secret) {
					t.Errorf("%v %v shows the secret:\n%s", command, c.args, out)
				}
				if len(out) == 0 {
					t.Errorf("%v says nothing", command)
				}
			}
		})
	}
}
