package clusterkit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	// probeEvery is how often /readyz of a node is probed. probeWithin limits one probe: it is long because a busy machine is
	// slow, and a node that is shutting down says so at once anyway.
	probeEvery  = 100 * time.Millisecond
	probeWithin = 2 * time.Second
	// forwardWithin is longer than a node takes to answer a webhook.
	forwardWithin = 7 * time.Second
)

// Balancer distributes requests over the nodes whose /readyz answers 200, as a load balancer in production does. If it cannot
// connect to a node, it passes the request to the next one. A request that was sent is never repeated: the transport uses another
// connection only if it has written nothing, because the node had closed an idle connection.
type Balancer struct {
	server    *httptest.Server
	transport *http.Transport
	ctx       context.Context // the context of the probes
	probes    sync.WaitGroup

	mu    sync.Mutex
	nodes []*backend
	turn  int
}

type backend struct {
	url   string
	ready bool
	end   context.CancelFunc
}

// NewBalancer starts a Balancer without nodes. It ends with the test.
func NewBalancer(t testing.TB) *Balancer {
	ctx, cancel := context.WithCancel(context.Background())
	b := &Balancer{ctx: ctx, transport: &http.Transport{MaxIdleConnsPerHost: 256, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}
	b.server = httptest.NewServer(b)
	t.Cleanup(func() {
		cancel()
		b.probes.Wait()
		b.server.CloseClientConnections()
		b.server.Close()
		b.transport.CloseIdleConnections()
	})
	return b
}

// URL returns the balancer's URL, without a trailing slash.
func (b *Balancer) URL() string { return b.server.URL }

// Add starts to probe the node at url, which gets requests once it is ready.
func (b *Balancer) Add(url string) {
	ctx, cancel := context.WithCancel(b.ctx)
	one := &backend{url: url, end: cancel}
	b.mu.Lock()
	b.nodes = append(b.nodes, one)
	b.mu.Unlock()
	b.probes.Go(func() { b.watch(ctx, one) })
}

// Remove removes a node.
func (b *Balancer) Remove(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = slices.DeleteFunc(b.nodes, func(one *backend) bool {
		if one.url == url {
			one.end()
		}
		return one.url == url
	})
}

// Ready returns the URLs of the nodes that get requests now.
func (b *Balancer) Ready() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var urls []string
	for _, one := range b.nodes {
		if one.ready {
			urls = append(urls, one.url)
		}
	}
	return urls
}

func (b *Balancer) watch(ctx context.Context, one *backend) {
	client := &http.Client{Timeout: probeWithin, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		ready := false
		if resp, err := get(ctx, client, one.url+"/readyz"); err == nil {
			_ = resp.Body.Close()
			ready = resp.StatusCode == http.StatusOK
		}
		b.set(one, ready)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

func (b *Balancer) set(one *backend, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one.ready = ready
}

// next returns a ready node that was not tried, in round-robin order.
func (b *Balancer) next(tried []*backend) *backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.nodes {
		b.turn++
		one := b.nodes[b.turn%len(b.nodes)]
		if one.ready && !slices.Contains(tried, one) {
			return one
		}
	}
	return nil
}

// ServeHTTP forwards one request. It answers 503 if no node is ready, and 502 if a node broke the connection.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 9<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), forwardWithin)
	defer cancel()
	var tried []*backend
	for one := b.next(tried); one != nil; one = b.next(tried) {
		resp, err := b.forward(ctx, one, r, body)
		if unconnected(err) {
			b.set(one, false)
			tried = append(tried, one)
			continue
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // on an error the client sees the body cut off
		return
	}
	http.Error(w, "no node is ready", http.StatusServiceUnavailable)
}

func (b *Balancer) forward(ctx context.Context, one *backend, r *http.Request, body []byte) (*http.Response, error) {
	out, err := http.NewRequestWithContext(ctx, r.Method, one.url+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header = r.Header.Clone()
	return b.transport.RoundTrip(out)
}

// unconnected reports whether no byte of the request can have reached a node.
func unconnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
