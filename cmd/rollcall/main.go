// Command rollcall keeps in Redis who is in which LiveKit room.
//
// It promises that nothing starts before the whole configuration has been read and validated; that each problem is reported
// on one line, naming the flag and the variable; and that no secret is ever printed. It is the command line only:
// internal/daemon joins the parts of a node.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/rollcallhq/rollcall/internal/daemon"
)

// version is set by `-ldflags "-X main.version=v1.2.3"`; without it the module's build information is used.
var version string

// commit and commitTime are set the same way for a release, whose build asks no version control system: what that says depends on the folder.
var commit, commitTime string

func main() {
	os.Exit(realMain())
}

// realMain is separate from main so that its deferred calls run before the exit.
func realMain() int {
	if len(os.Args) > 1 && os.Args[1] == "serve" { // other commands end soon, or start programs that would inherit it
		daemon.RelaxTimers()
	}
	// gRPC writes to the process' stderr, bypassing our log. Anything important also comes back as the error of a request,
	// and is logged there.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the first one removes the handler.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	return report(os.Stderr, err)
}
