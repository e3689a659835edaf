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

// script is a Lua script with what all of them share put before it.
type script struct{ text, sha string }

// scripts are the store's scripts; each file's head documents its KEYS, ARGV and returns.
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
		text := string(shared) + string(own)
		*to = script{text: text, sha: digest([]byte(text))}
	}
	return s, nil
}

// once runs a script outside the batches.
func (s *Store) once(ctx context.Context, sc script, keys []string, args ...any) *redis.Cmd {
	return runOn(ctx, s.client, sc, keys, args...)
}

// runOn is once by another client.
func runOn(ctx context.Context, client redis.UniversalClient, sc script, keys []string, args ...any) *redis.Cmd {
	cmd := client.EvalSha(ctx, sc.sha, keys, args...)
	if unloaded(cmd.Err()) {
		cmd = client.Eval(ctx, sc.text, keys, args...)
	}
	return cmd
}

// unloaded tells that Redis does not have the script (any more) and has done nothing. Some servers that speak Redis' protocol put ERR before
// the code.
func unloaded(err error) bool {
	return err != nil && strings.HasPrefix(strings.TrimPrefix(err.Error(), "ERR "), "NOSCRIPT")
}

// wrongType tells that someone else holds the key as another type.
func wrongType(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE") }

// digest is what redis.sha1hex gives.
func digest(value []byte) string {
	sum := sha1.Sum(value)
	return hex.EncodeToString(sum[:])
}
