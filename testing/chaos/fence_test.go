package chaos

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/compose"
)

// TestWithoutTheFence removes the one thing that keeps two owners apart, in a separate binary: Redis accepts every commit and
// every claim, however old. The same nemeses and checks must find the consequences.
func TestWithoutTheFence(t *testing.T) {
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	ctx, e := need(t)
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Duration, o.Nemeses = 0, []string{"pause-owner", "pause-leader"}
	if compose.CanCut() == nil {
		o.Nemeses = append(o.Nemeses, "partition-one", "partition-leader")
	}
	o.Binary = unfenced(ctx, t, e)
	if o.Dir != "" {
		o.Dir = filepath.Join(o.Dir, "without-the-fence")
	}
	r, err := Run(ctx, t, e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d violations", len(r.Violations)+r.Dropped)
	if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return v.Invariant == 1 || v.Invariant == 2 }) {
		t.Errorf("the checks saw nothing wrong with writes that no fence kept in order: %+v", r.Violations)
	}
}

// unfenced builds a rollcall whose scripts compare nothing.
func unfenced(ctx context.Context, t *testing.T, e *compose.Engine) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	patch := func(file string, pairs ...string) {
		path := filepath.Join(root, "internal/redisstore/lua", file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		patched := string(text)
		for i := 0; i < len(pairs); i += 2 {
			if strings.Count(patched, pairs[i]) != 1 {
				t.Fatalf("%s has no longer just one %q: this test must follow it", file, pairs[i])
			}
			patched = strings.Replace(patched, pairs[i], pairs[i+1], 1)
		}
		replace[path] = filepath.Join(dir, file)
		if err := os.WriteFile(replace[path], []byte(patched), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const refusal = "local function refusal(r, gen, epoch, inc, expect, lgen, lidx)\n"
	patch("fence.lua", refusal, refusal+"  do return 0 end\n")
	patch("claim.lua", "  if by < 0 then return {STALE_OWNER} end\n", "", "  if by == 0 and inc ~= r[3] then return {SPLIT} end\n", "")
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "rollcall")
	if err := e.BuildBinary(ctx, binary, "-overlay="+file); err != nil {
		t.Fatal(err)
	}
	return binary
}
