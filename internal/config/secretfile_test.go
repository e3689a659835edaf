package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bareEnv is baseEnv without its secrets.
func bareEnv(more ...string) []string {
	return append([]string{"LIVEKIT_HOST=lk.example.org", "LIVEKIT_API_KEY=APIkey"}, more...)
}

// keylessEnv is bareEnv without the API key.
func keylessEnv(more ...string) []string {
	return append([]string{"LIVEKIT_HOST=lk.example.org"}, more...)
}

// TestSecretsFromFiles checks that a secret in a file means the same as one that is given directly.
func TestSecretsFromFiles(t *testing.T) {
	direct := mustLoad(t, baseEnv("ROLLCALL_ADMIN_TOKEN=0123456789abcdef", "LIVEKIT_KEYS=a: hunter2"))
	key, secret, keys := writeFile(t, "key", "APIkey\n"), writeFile(t, "secret", "\r\ns3cr3t-lk\r\n\n"), writeFile(t, "keys", "\na: hunter2\n")
	token, url := writeFile(t, "token", "0123456789abcdef"), writeFile(t, "url", "redis://r\n")
	for name, load := range map[string]func() Loaded{
		"variables": func() Loaded {
			return mustLoad(t, keylessEnv("LIVEKIT_API_KEY_FILE="+key, "LIVEKIT_API_SECRET_FILE="+secret, "LIVEKIT_KEYS_FILE="+keys, "ROLLCALL_ADMIN_TOKEN_FILE="+token, "REDIS_URL_FILE="+url))
		},
		"flags": func() Loaded {
			return mustLoad(t, keylessEnv(), "--livekit-api-key-file="+key, "--livekit-api-secret-file="+secret, "--livekit-keys-file="+keys, "--admin-token-file="+token, "--redis-url-file="+url)
		},
		"a file": func() Loaded {
			return mustLoad(t, keylessEnv(), "--config", writeFile(t, "r.yaml", "livekit-api-key-file: "+key+"\nlivekit-api-secret-file: "+secret+"\nlivekit-keys-file: "+keys+
				"\nadmin-token-file: "+token+"\nredis-url-file: "+url+"\n"))
		},
	} {
		got := load()
		if want := (SecretFiles{APIKey: key, APISecret: secret, Keys: keys, AdminToken: token, RedisURL: url}); got.Config.SecretFiles != want {
			t.Errorf("%s: files %+v, want %+v", name, got.Config.SecretFiles, want)
		}
		got.Config.SecretFiles = SecretFiles{}
		if diff := cmp.Diff(direct.Config, got.Config); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if source := got.Sources["admin-token"]; source != "file "+token {
			t.Errorf("%s: the admin token has source %q", name, source)
		}
	}
}

// TestWrongSecretFiles checks that each wrong file is one line that names the flag and the path, and shows nothing of its content.
func TestWrongSecretFiles(t *testing.T) {
	dir := t.TempDir()
	unreadable := writeFile(t, "unreadable", mark)
	if err := os.Chmod(unreadable, 0); err != nil {
		t.Fatal(err)
	}
	pairs := map[string]struct{ path, want string }{
		"missing":       {filepath.Join(dir, "nothing"), "no such file"},
		"empty":         {writeFile(t, "empty", ""), "is empty"},
		"only line end": {writeFile(t, "blank", "\r\n\n"), "is empty"},
		"a directory":   {dir, "not a regular file"},
		"a device":      {os.DevNull, "not a regular file"},
		"too large":     {writeFile(t, "large", strings.Repeat(mark, MaxSecretFile/len(mark)+1)), "more than 64 KiB"},
		"two lines":     {writeFile(t, "lines", mark+"\n"+mark), ""},
		"spaces":        {writeFile(t, "spaces", mark+" "), ""},
	}
	if os.Getuid() != 0 { // root reads everything
		pairs["unreadable"] = struct{ path, want string }{unreadable, "permission denied"}
	}
	for what, p := range pairs {
		for flag, names := range map[string]string{"livekit-api-key-file": "--livekit-api-key-file, LIVEKIT_API_KEY_FILE: ", "livekit-api-secret-file": "--livekit-api-secret-file, LIVEKIT_API_SECRET_FILE: ", "redis-url-file": "--redis-url-file, REDIS_URL_FILE: ",
			"livekit-keys-file": "--livekit-keys-file, LIVEKIT_KEYS_FILE: ", "admin-token-file": "--admin-token-file, ROLLCALL_ADMIN_TOKEN_FILE: "} {
			env := bareEnv("LIVEKIT_API_SECRET=s3cr3t-lk", "REDIS_URL=redis://r")
			switch flag {
			case "livekit-api-secret-file":
				env = bareEnv("REDIS_URL=redis://r", "LIVEKIT_KEYS=APIkey: s3cr3t-lk")
			case "redis-url-file":
				env = bareEnv("LIVEKIT_API_SECRET=s3cr3t-lk")
			case "livekit-api-key-file":
				env = keylessEnv("LIVEKIT_API_SECRET=s3cr3t-lk", "REDIS_URL=redis://r")
			}
			_, err := loadArgs(t, ForServe, env, "--"+flag+"="+p.path)
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), names) || !strings.Contains(err.Error(), p.path) ||
				!strings.Contains(err.Error(), p.want) || strings.Contains(err.Error(), mark) {
				t.Errorf("%s, %s: %v", flag, what, err)
			}
		}
	}
}

// TestASecretAndItsFile checks that both together are one error that names both, wherever they are given.
func TestASecretAndItsFile(t *testing.T) {
	file := writeFile(t, "secret", "0123456789abcdef")
	for _, tt := range []struct{ env, flag, want string }{
		{"ROLLCALL_ADMIN_TOKEN=x", "--admin-token-file=" + file, "--admin-token-file, ROLLCALL_ADMIN_TOKEN_FILE: --admin-token, ROLLCALL_ADMIN_TOKEN is given as well"},
		{"ROLLCALL_ADMIN_TOKEN_FILE=" + file, "--admin-token=x", "--admin-token-file, ROLLCALL_ADMIN_TOKEN_FILE: --admin-token, ROLLCALL_ADMIN_TOKEN is given as well"},
		{"REDIS_URL_FILE=" + file, "--sync-interval=1s", "--redis-url-file, REDIS_URL_FILE: --redis-url, REDIS_URL is given as well"},
		{"LIVEKIT_API_KEY_FILE=" + file, "--sync-interval=1s", "--livekit-api-key-file, LIVEKIT_API_KEY_FILE: --livekit-api-key, LIVEKIT_API_KEY is given as well"},
		{"LIVEKIT_KEYS_FILE=" + file, "--livekit-keys=a: b", "--livekit-keys-file, LIVEKIT_KEYS_FILE: --livekit-keys, LIVEKIT_KEYS is given as well"},
		{"LIVEKIT_API_SECRET_FILE=" + file, "--sync-interval=1s", "--livekit-api-secret-file, LIVEKIT_API_SECRET_FILE: --livekit-api-secret, LIVEKIT_API_SECRET is given as well"},
	} {
		_, err := loadArgs(t, ForServe, baseEnv(tt.env), tt.flag)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %s: %v", tt.env, tt.flag, err)
		}
	}
	// An empty variable is unset, as everywhere.
	mustLoad(t, baseEnv("ROLLCALL_ADMIN_TOKEN=", "ROLLCALL_ADMIN_TOKEN_FILE="+file))
}

// TestKeysThatMayBeMissing checks that a - before the path of further keys lets the file be missing or empty, and nothing else be wrong.
func TestKeysThatMayBeMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	load := func() (Loaded, error) {
		return loadArgs(t, ForServe, baseEnv("ROLLCALL_ADMIN_TOKEN="+strings.Repeat("t", 32), "LIVEKIT_KEYS_FILE=-"+path))
	}
	check := func(content string, keys int) {
		t.Helper()
		if l, err := load(); err != nil || len(l.Config.LiveKit.Keys) != keys || len(l.Warnings) != 0 {
			t.Errorf("%s: %v keys, warnings %q, %v", content, l.Config.LiveKit.Keys, l.Warnings, err)
		}
	}
	check("no file", 0)
	for content, keys := range map[string]int{"": 0, "\n": 0, "a: hunter2, b: hunter2": 2} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		check(content, keys)
	}
	if err := os.WriteFile(path, []byte(mark), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(); err == nil || !strings.HasPrefix(err.Error(), "--livekit-keys-file, LIVEKIT_KEYS_FILE: pair 1 (not shown)") || strings.Contains(err.Error(), mark) {
		t.Errorf("no pairs: %v", err)
	}
	for _, other := range []string{"--livekit-api-key-file", "--livekit-api-secret-file", "--admin-token-file", "--redis-url-file"} {
		if _, err := loadArgs(t, ForServe, keylessEnv(), other+"=-"+path); err == nil || !strings.Contains(err.Error(), `-`+path+`: no such file`) {
			t.Errorf("%s: %v", other, err)
		}
	}
}
