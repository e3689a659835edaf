// Command rollcall calls the roll in every LiveKit room and keeps the answer in
// Redis.
//
// Its promise: nothing starts before the whole configuration has been read,
// checked and found right; whatever is wrong is said in one line each, naming
// the flag and the variable; and no secret is ever printed. It is the one place
// that knows every other package.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc/grpclog"
)

// version is what `-ldflags "-X main.version=v1.2.3"` puts there; without it
// the module's build information is used.
var version string

func main() {
	os.Exit(realMain())
}

// realMain is apart from main so that its defers run before the exit.
func realMain() int {
	// gRPC writes to the process' stderr past our log. What matters of it comes back as an error of some request, and is logged there.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the handler goes after the first.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	return report(os.Stderr, err)
}
