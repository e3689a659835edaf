package redisstore

import (
	"context"
	"crypto/sha1" // Redis names scripts by SHA-1, and the scripts compare values by it
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// script is a Lua script, with the code that all of them share prepended.
type script struct {
	text, sha string
	several   bool // it makes several commits, and replies to each
}

// scripts are the store's scripts; the head of each file documents its KEYS, ARGV and returns.
type scripts struct{ claim, commit, delist, enlist, raise, health, changes script }

func loadScripts() (scripts, error) {
	var s scripts
	shared, err := sources.ReadFile("lua/fence.lua")
	if err != nil {
		return s, fmt.Errorf("redis: scripts: %w", err)
	}
	for name, to := range map[string]*script{"claim": &s.claim, "commit": &s.commit, "delist": &s.delist, "enlist": &s.enlist, "raise": &s.raise,
		"health": &s.health, "changes": &s.changes} {
		own, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return s, fmt.Errorf("redis: scripts: %w", err)
		}
		if to == &s.commit {
			several, err := sources.ReadFile("lua/commits.lua")
			if err != nil {
				return s, fmt.Errorf("redis: scripts: %w", err)
			}
			own = fmt.Appendf(nil, "local COMMIT_KEYS = %d\nlocal now = redis.call('TIME')[1]\nlocal function commit(k, a, last)\n%send\n%s", commitKeys, own, several)
		}
		text := string(shared) + withLater(string(own))
		*to = script{text: text, sha: digest([]byte(text)), several: to == &s.commit}
	}
	return s, nil
}

// commitKeys is how many keys a commit has.
const commitKeys = 6

// once runs a script outside the batches.
func (s *Store) once(ctx context.Context, sc script, keys []string, args ...any) *redis.Cmd {
	return runOn(ctx, s.client, sc, keys, args...)
}

// runOn is like once, on another client.
func runOn(ctx context.Context, client redis.UniversalClient, sc script, keys []string, args ...any) *redis.Cmd {
	cmd := client.EvalSha(ctx, sc.sha, keys, args...)
	if unloaded(cmd.Err()) {
		cmd = client.Eval(ctx, sc.text, keys, args...)
	}
	return cmd
}

// unloaded reports whether Redis does not have the script, or no longer has it, and so has done nothing. Some servers that speak Redis' protocol
// put ERR before the code.
func unloaded(err error) bool {
	return err != nil && strings.HasPrefix(strings.TrimPrefix(err.Error(), "ERR "), "NOSCRIPT")
}

// wrongType reports whether the key holds another type, because someone else wrote it.
func wrongType(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE") }

// digest returns what redis.sha1hex returns.
func digest(value []byte) string {
	sum, text := sha1.Sum(value), [2 * sha1.Size]byte{}
	hex.Encode(text[:], sum[:])
	return string(text[:])
}
