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
