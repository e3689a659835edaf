package remote

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Should a message come through the sieve and crash the library all the same, the link ends and not the process.
func TestCrashOfTheLibraryEndsTheLinkOnly(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	r := &Remote{cfg: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, complain: &complaints{},
		system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))}
	defer r.system.Shutdown()
	err := r.admit(nil, nil, nil, func(any, grpc.ServerStream) error { panic("crash") })
	if status.Code(err) != codes.Internal || !strings.Contains(log.String(), "crash") {
		t.Errorf("%v, %s", err, log.String())
	}
}

// What the library logs of messages would show what people wrote.
func TestLibraryLogsNoMessage(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	r := &Remote{}
	log := slog.New(library{slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}), &r.logs})
	log.With("message", "secret").WithGroup("g").Error("failed", "message", "secret", "error", "why", "address", "where")
	if got := text.String(); strings.Contains(got, "secret") || !strings.Contains(got, "why") || !strings.Contains(got, "level=DEBUG") {
		t.Error(got)
	}
}
