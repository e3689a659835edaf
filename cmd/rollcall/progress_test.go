package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

func TestProgressIsShownWhileACycleRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		done, ended := make(chan struct{}), make(chan struct{})
		rooms := 0
		go func() {
			defer close(ended)
			showProgress(t.Context(), done, &out, func(context.Context) (client.Status, error) {
				rooms += 10
				return client.Status{Progress: &client.Progress{Kind: "sync", Done: rooms, Of: 40}}, nil
			})
		}()
		time.Sleep(progressAfter + 4*progressEvery)
		close(done)
		<-ended
		for _, want := range []string{"sync", "(10/40)", "(20/40)"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in %q", want, out.String())
			}
		}
		if last := out.String()[strings.LastIndex(strings.TrimRight(out.String(), "\r"), "\r"):]; strings.TrimSpace(last) != "" {
			t.Errorf("it leaves %q behind", last)
		}
	})
}

func TestNoProgressOffATerminal(t *testing.T) {
	n := newNode(t, map[string]string{`POST /api/sync-rooms {"action":"sync"}`: `{"action":"sync","result":{"synced":1,"errors":0,"cleaned":0}}`})
	if o := n.command(t, "sync"); o.errOut != "" || len(n.requests) != 1 {
		t.Errorf("it asked %q and said %q", n.requests, o.errOut)
	}
}
