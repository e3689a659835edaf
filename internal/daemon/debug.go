package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/rollcallhq/rollcall/internal/config"
)

// openDebug serves profiles and counters on --debug-addr, if it is given.
func (n *Daemon) openDebug(ctx context.Context) error {
	if n.config.DebugAddr == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.config.DebugAddr)
	if err != nil {
		err = fmt.Errorf("--debug-addr, %s: %w", config.EnvName("debug-addr"), err)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w: another program has this port; stop it, or give another", err)
		}
		return err
	}
	// A profile takes as long as its caller asks for, so an answer has no time limit.
	n.debug = &http.Server{Handler: debugHandler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug)}
	n.log.Info("profiles and counters are served without a token", "debug", l.Addr().String())
	go func() {
		if err := n.debug.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("profiles and counters are no longer served; a restart brings them back", "error", err)
		}
	}()
	return nil
}

// debugHandler serves Go's profiles and the counters of expvar. It leaves the command line out, which may hold secrets.
func debugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // pprof posts addresses to it
	mux.HandleFunc("GET /debug/vars", serveVars)
	return mux
}

// serveVars writes what expvar's own handler does, without the command line.
func serveVars(w http.ResponseWriter, _ *http.Request) {
	vars := map[string]json.RawMessage{}
	expvar.Do(func(v expvar.KeyValue) {
		if v.Key != "cmdline" {
			vars[v.Key] = json.RawMessage(v.Value.String())
		}
	})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(vars) // a caller who is gone needs no answer
}
