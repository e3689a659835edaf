package fakelivekit

import (
	"errors"
	"net/http"
	"net/http/httptest"
)

// errRefused is the error that a client of a stopped server gets, as from a closed port.
var errRefused = errors.New("fake livekit is down: connection refused")

// InProcess returns a transport that calls the handler in the caller's goroutine, without sockets. In a testing/synctest bubble
// it connects clients to the API of a Fake, and a Fake to a webhook handler. The handler must end when the request's context
// does.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	t.handler.ServeHTTP(w, in)
	_ = in.Body.Close()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if w.refused {
		return nil, errRefused
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// recorder can also record that the server accepted no connection at all.
type recorder struct {
	*httptest.ResponseRecorder
	refused bool
}

// refuse drops the connection as a dead server's kernel would, as far as a handler can.
func refuse(w http.ResponseWriter) {
	if r, ok := w.(*recorder); ok {
		r.refused = true
		return
	}
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			_ = conn.Close()
			return
		}
	}
	w.WriteHeader(http.StatusBadGateway)
}
