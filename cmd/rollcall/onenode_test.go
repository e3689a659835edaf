package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSettingsForSeveralNodesAreRefused(t *testing.T) {
	t.Parallel()
	base := []string{"LIVEKIT_HOST=h", "LIVEKIT_API_KEY=k", "LIVEKIT_API_SECRET=ssssssssssssssssssssssssssssssssssss", "REDIS_URL=redis://r"}
	for _, args := range [][]string{
		{"--bootstrap-expect=3", "--raft-addr=127.0.0.1:7000", "--actor-addr=127.0.0.1:7001"},
		{"--join=n1:7000", "--raft-addr=127.0.0.1:7000", "--actor-addr=127.0.0.1:7001"},
		{"--raft-addr=10.0.0.1:7000", "--insecure"},
	} {
		for _, command := range []string{"serve", "check-config"} {
			var out, errs bytes.Buffer
			err := runWith(t.Context(), deps{}, append([]string{command}, args...), base, &out, &errs)
			if code := report(&errs, err); code != exitUsage {
				t.Errorf("%s %v: exit %d, want %d", command, args, code, exitUsage)
			}
			flag, _, _ := strings.Cut(args[0], "=")
			if said := errs.String(); !strings.Contains(said, flag) || !strings.Contains(said, "one node") {
				t.Errorf("%s %v says %q", command, args, said)
			}
		}
	}
}

// TestSettingsWithoutEffectAreSaid: a setting that is taken and does nothing must not look as if it did.
func TestSettingsWithoutEffectAreSaid(t *testing.T) {
	t.Parallel()
	environ := []string{"LIVEKIT_HOST=h", "LIVEKIT_API_KEY=k", "LIVEKIT_API_SECRET=ssssssssssssssssssssssssssssssssssss", "REDIS_URL=redis://r",
		"ROLLCALL_DEAD_AFTER=1m"}
	var out, errs bytes.Buffer
	err := runWith(t.Context(), deps{}, []string{"check-config", "--insecure", "--http-advertise=n1:8080"}, environ, &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	said := errs.String()
	for name, want := range map[string]bool{"--dead-after": true, "--insecure": true, "--actor-addr": false, "--http-advertise": false} {
		if strings.Contains(said, name) != want {
			t.Errorf("warns of %s: %v, want %v: %q", name, !want, want, said)
		}
	}
}
