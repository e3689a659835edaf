package remote

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// library writes the actor library's log as debugging, without the messages it speaks of: they hold what people wrote.
type library struct {
	slog.Handler
	// next is called once, when the library is about to log. It is how we get a word in while its Start runs.
	next *atomic.Pointer[func()]
}

func (l library) Enabled(ctx context.Context, _ slog.Level) bool {
	if f := l.next.Swap(nil); f != nil {
		(*f)()
	}
	return l.Handler.Enabled(ctx, slog.LevelDebug)
}

func (l library) Handle(ctx context.Context, r slog.Record) error {
	plain := slog.NewRecord(r.Time, slog.LevelDebug, "protoactor: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "address" || a.Key == "error" {
			plain.AddAttrs(a)
		}
		return true
	})
	return l.Handler.Handle(ctx, plain)
}

func (l library) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l library) WithGroup(string) slog.Handler { return l }

// grpcLog is gRPC's log in ours: its errors are warnings here, for every one of them comes back as some request's error.
type grpcLog struct{ log *slog.Logger }

func (g grpcLog) Info(...any)           {}
func (g grpcLog) Infoln(...any)         {}
func (g grpcLog) Infof(string, ...any)  {}
func (g grpcLog) Warning(args ...any)   { g.log.Debug("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Warningln(args ...any) { g.log.Debug("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Warningf(format string, args ...any) {
	g.log.Debug("grpc: " + fmt.Sprintf(format, args...))
}
func (g grpcLog) Error(args ...any)   { g.log.Warn("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Errorln(args ...any) { g.log.Warn("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Errorf(format string, args ...any) {
	g.log.Warn("grpc: " + fmt.Sprintf(format, args...))
}

// Fatal and its like are told as errors: ending the process is not a library's to do.
func (g grpcLog) Fatal(args ...any)   { g.log.Error("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Fatalln(args ...any) { g.log.Error("grpc: " + fmt.Sprint(args...)) }
func (g grpcLog) Fatalf(format string, args ...any) {
	g.log.Error("grpc: " + fmt.Sprintf(format, args...))
}

func (g grpcLog) V(int) bool { return false }
