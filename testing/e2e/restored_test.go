package e2e

import (
	"os"
	"testing"
)

// TestRestoredData restores an older copy of the data directory. Every room's claim then has a later epoch than any the node can
// have, so the node raises its generation, reports it, and continues. Afterwards it does not raise it again.
func TestRestoredData(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"by the epoch in Redis": false, "by the first room": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{every: "3s"})
			w.join(t, "a", who{Identity: "alice"})
			w.converges()
			w.Terminate()
			backup := t.TempDir()
			copyDir(t, backup, w.Dir)
			for range 3 { // creates epochs that the copy does not know
				w.Up()
				w.converges()
				w.Terminate()
			}
			w.Up()
			w.join(t, "b", who{Identity: "bob"})
			w.converges()
			w.Kill()

			if err := os.RemoveAll(w.Dir); err != nil {
				t.Fatal(err)
			}
			copyDir(t, w.Dir, backup)
			if forget {
				keys, err := w.redis.Client().Keys(w.ctx(), "rooms:epoch:*").Result()
				if err != nil || len(keys) == 0 {
					t.Fatalf("the epochs in Redis: %v, %v", keys, err)
				}
				w.redis.Client().Del(w.ctx(), keys...)
			}
			w.Up()
			w.join(t, "a", who{Identity: "carol"})
			w.join(t, "c", who{Identity: "dave"})
			w.converges()
			if err := w.Says("the data in --data-dir is older than what this cluster has written to Redis"); err != nil {
				t.Error(err)
			}
			generation := w.redis.Client().Get(w.ctx(), "rooms:generation").Val()
			w.Terminate()
			w.Up()
			w.converges()
			if now := w.redis.Client().Get(w.ctx(), "rooms:generation").Val(); now != generation {
				t.Errorf("the generation went on from %s to %s", generation, now)
			}
		})
	}
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
