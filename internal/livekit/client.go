package livekit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/internal/crash"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Defaults of Options.
const (
	DefaultConcurrency = 16
	DefaultTimeout     = 5 * time.Second
)

// tokenLife is how long a request's token is valid; LiveKit's clock may differ from ours.
const tokenLife = 10 * time.Minute

// Options configure a Client.
type Options struct {
	Host        string        // anything that HostURL accepts
	Key, Secret string        // the API key and its secret
	Concurrency int           // most requests at once; default DefaultConcurrency
	Rate        float64       // requests per second, with bursts of one second's worth; 0: no limit
	Timeout     time.Duration // of LiveKit's silence in one request, not counting the wait for a turn; default DefaultTimeout
	Log         *slog.Logger  // default: none
	// Observe is called after each request, concurrently from many goroutines.
	Observe func(Request)
	// Contained, if not nil, is called for each panic that ended a request.
	Contained func()
	// Transport sends the requests. Default: HTTP with kept connections.
	Transport http.RoundTripper
}

// Request is one request to LiveKit, for metrics.
type Request struct {
	Method  string // ListRooms or ListParticipants
	Outcome Outcome
	Waited  time.Duration // for a slot and a turn in the budget
	Took    time.Duration // from sending to the end of the answer; 0 if its turn never came
	// PassedOver counts the entries of the answer that could not be used.
	PassedOver int
}

// The methods of LiveKit's RoomService that a Client calls.
const (
	listRooms        = "ListRooms"
	listParticipants = "ListParticipants"
)

// Methods returns every Method that a Request may have.
func Methods() []string { return []string{listRooms, listParticipants} }

// Client sends requests to LiveKit's RoomService. It is safe for concurrent use.
type Client struct {
	opts   Options
	signer atomic.Pointer[signer]
	rooms  livekit.RoomService
	budget *budget
	kept   *kept
}

// New checks the options; it sends nothing.
func New(opts Options) (*Client, error) {
	host, err := HostURL(opts.Host)
	if err != nil {
		return nil, err
	}
	if opts.Key == "" || opts.Secret == "" {
		return nil, errors.New("the LiveKit API key or its secret is empty")
	}
	if opts.Concurrency < 0 || opts.Timeout < 0 || !(opts.Rate >= 0) {
		return nil, errors.New("concurrency, rate and timeout of LiveKit's API cannot be negative")
	}
	opts.Host = host
	opts.Concurrency = cmp.Or(opts.Concurrency, DefaultConcurrency)
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	if opts.Transport == nil {
		opts.Transport = newTransport(opts.Concurrency)
	}
	// Redirects are not followed: the generated client sees to that.
	client := &http.Client{Transport: guard{opts.Transport}}
	c := &Client{
		opts:   opts,
		rooms:  livekit.NewRoomServiceProtobufClient(host, client),
		budget: newBudget(opts.Concurrency, opts.Rate),
		kept:   newKept(),
	}
	c.SetKey(opts.Key, opts.Secret)
	return c, nil
}

// signer is the API key that signs requests, with its secret.
type signer struct {
	key    string
	secret *secret
}

// SetKey changes the API key that signs the requests from now on. Neither the key nor its secret may be empty.
func (c *Client) SetKey(key, secret string) {
	c.signer.Store(&signer{key: key, secret: newSecret(secret)})
}

// SetRate changes Options.Rate. A rate that LiveKit has lowered begins at the new one.
func (c *Client) SetRate(perSecond float64) { c.budget.setRate(perSecond) }

// Close closes idle connections.
func (c *Client) Close() {
	if t, ok := c.opts.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Share sets the rate to one of parts equal parts of Options.Rate, when that many processes share the budget.
func (c *Client) Share(parts int) { c.budget.share(1 / float64(max(1, parts))) }

// Rate returns the most requests that are sent per second: the share of Options.Rate, and less for a while after LiveKit reported too many
// requests. Without a limit it is infinite.
func (c *Client) Rate() float64 { return c.budget.rate() }

// send sends one request with the generated client. The answer is read by receive.
type send func(ctx context.Context) error

// list sends a request for a list under the budget, with a token that grants no more than it needs, and reads the answer's entries. It retries
// while LiveKit reports too many requests and ctx lasts. If answers that are read at the same time hold too much together, it retries this
// request by itself. begin is called for each attempt; passed is read after each.
func (c *Client) list(ctx context.Context, name string, grant access, ask send, passed *reconcile.PassedOver, begin func(*part) entries) error {
	p := c.kept.shared()
	defer func() { p.free() }()
	for {
		r := Request{Method: name}
		start := time.Now()
		release, err := c.budget.acquire(ctx)
		r.Waited = time.Since(start)
		if err != nil {
			err = noTurn(err)
		} else {
			err = crash.Guard{Log: c.opts.Log, Count: c.opts.Contained}.Contain("reading LiveKit's answer to "+name, func() error { return c.exchange(ctx, grant, ask, begin(p)) })
			release()
			r.Took, r.PassedOver = time.Since(start)-r.Waited, passed.Count
		}
		r.Outcome = outcome(err)
		if c.opts.Observe != nil {
			c.opts.Observe(r)
		}
		p.free()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errCrowded) && isLowPriority(ctx):
			err = noTurn(err) // people can ask again: a sync must not wait for them
		case errors.Is(err, errCrowded):
			if p, err = c.kept.alone(ctx); err == nil {
				continue
			}
			err = noTurn(err)
		case errors.Is(err, ErrLimited) && c.budget.canRetry(ctx):
			p = c.kept.shared() // the place for reading an answer by itself has been given back
			continue
		case errors.Is(err, ErrLimited):
			err = noTurn(err)
		}
		return fmt.Errorf("ask LiveKit at %s by %s: %w", c.opts.Host, name, err)
	}
}

// noTurn converts the error of a wait that ended before the next turn: a deadline means reconcile.ErrNoTurn, whereas a cancelled caller gave up
// by itself.
func noTurn(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("waiting for a turn: %w", err)
	}
	return fmt.Errorf("%w: %w", reconcile.ErrNoTurn, err)
}

// access is what a request's token grants.
type access struct {
	RoomList  bool   `json:"roomList,omitempty"`
	RoomAdmin bool   `json:"roomAdmin,omitempty"`
	Room      string `json:"room,omitempty"`
}

// tokenHead is the header of every request's token: {"alg":"HS256","typ":"JWT"}.
const tokenHead = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."

// sign makes a request's token. A sync makes one for each room, so it is made here: a library would take several times as long. The token is
// valid from a while ago, because a LiveKit whose clock is behind ours would refuse it otherwise.
func (c *Client) sign(grant access, now time.Time) (string, error) {
	by := c.signer.Load()
	payload, err := json.Marshal(struct {
		Issuer    string `json:"iss"`
		NotBefore int64  `json:"nbf"`
		Expires   int64  `json:"exp"`
		Video     access `json:"video"`
	}{by.key, now.Add(-skew).Unix(), now.Add(tokenLife).Unix(), grant})
	if err != nil {
		return "", err
	}
	token := make([]byte, 0, len(tokenHead)+base64.RawURLEncoding.EncodedLen(len(payload))+1+base64.RawURLEncoding.EncodedLen(sha256.Size))
	token = base64.RawURLEncoding.AppendEncode(append(token, tokenHead...), payload)
	mac := by.secret.sign(make([]byte, 0, sha256.Size), token)
	return string(base64.RawURLEncoding.AppendEncode(append(token, '.'), mac)), nil
}

// answerWithin bounds the time for one answer, however much data arrives. It exceeds Options.Timeout so that a large list can finish.
const answerWithin = 30 * time.Second

// exchange sends one request and reads its answer into list. Options.Timeout bounds the silence before and during the answer.
func (c *Client) exchange(ctx context.Context, grant access, ask send, list entries) error {
	token, err := c.sign(grant, time.Now())
	if err != nil {
		return fmt.Errorf("sign the request: %w", err)
	}
	asking, end := context.WithCancelCause(ctx)
	defer end(nil)
	until := time.Now().Add(max(answerWithin, 2*c.opts.Timeout))
	silence := time.AfterFunc(c.opts.Timeout, func() {
		if time.Now().Before(until) {
			end(context.DeadlineExceeded)
		}
		end(errTooLarge) // the first cause counts
	})
	defer silence.Stop()
	asking = context.WithValue(asking, receiverKey{}, &receiver{list: list, arrived: func() {
		silence.Reset(min(c.opts.Timeout, time.Until(until)))
	}})
	asking, err = twirp.WithHTTPRequestHeaders(asking, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return fmt.Errorf("prepare the request: %w", err)
	}
	err = ask(asking)
	switch {
	case err == nil:
		c.budget.served()
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(context.Cause(asking), errTooLarge):
		return fmt.Errorf("%w: it does not end", errTooLarge)
	case asking.Err() != nil:
		return fmt.Errorf("no answer within %s: %w", c.opts.Timeout, context.DeadlineExceeded)
	}
	if err = explain(err); errors.Is(err, ErrLimited) {
		c.slowDown(err)
	}
	return err
}

func (c *Client) slowDown(err error) {
	var over tooMany
	errors.As(err, &over)
	if pause, begun := c.budget.limited(over.after); begun {
		c.opts.Log.Warn("LiveKit's request limit is reached: pausing and slowing down; if it lasts, lower --livekit-rate or lengthen --sync-interval", "pause", pause)
	}
}
