package fakelivekit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/utils/protojson"
)

// outcome is the final result for a letter.
type outcome int

const (
	delivered outcome = iota
	refused
	gaveUp
	aged
	crashed
)

// post sends one letter, with all its attempts: the same body, id and token each time.
func (s *sender) post(ctx context.Context, l letter) outcome {
	if time.Since(l.queuedAt) > s.opts.seconds(maxAge) {
		return aged
	}
	body, token, err := s.sign(l)
	if err != nil {
		return gaveUp
	}
	for i := range maxAttempts {
		verdict := s.attempt(ctx, l.url, body, token)
		if ctx.Err() != nil {
			return crashed
		}
		if !verdict.retry {
			return verdict.outcome
		}
		if i == maxAttempts-1 {
			break
		}
		wait := s.opts.seconds(1 << i)
		if verdict.after != nil {
			wait = *verdict.after
		}
		if !sleep(ctx, wait) {
			return crashed
		}
	}
	return gaveUp
}

// sign encodes the event when its turn comes, as the real server does: the token is valid from then on.
func (s *sender) sign(l letter) (body []byte, token string, err error) {
	body, err = protojson.Marshal(l.event)
	if err != nil {
		return nil, "", fmt.Errorf("encode webhook: %w", err)
	}
	token, err = Sign(body, s.opts.APIKey, s.opts.APISecret)
	return body, token, err
}

// Sign returns the Authorization header with which LiveKit would send the body now; tests sign captured bodies with it.
func Sign(body []byte, key, secret string) (string, error) {
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(key, secret).
		SetValidFor(5 * time.Minute).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).
		ToJWT()
	if err != nil {
		return "", fmt.Errorf("sign webhook: %w", err)
	}
	return token, nil
}

// verdict is how the sender treats the answer to one attempt.
type verdict struct {
	retry   bool
	after   *time.Duration // a Retry-After that replaces the back-off
	outcome outcome
}

func (s *sender) attempt(ctx context.Context, url string, body []byte, token string) verdict {
	if s.opts.ClientTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.opts.seconds(s.opts.ClientTimeout))
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return verdict{outcome: refused}
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", "application/webhook+json")
	resp, err := s.client.Do(req)
	if err != nil {
		return verdict{retry: true}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // drained only so that the connection can be used again
	return s.judge(resp)
}

// judge applies the real sender's rules: 429 and 5xx except 501 are retried; Retry-After applies to 429 and 503 only.
func (s *sender) judge(resp *http.Response) verdict {
	code := resp.StatusCode
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return verdict{retry: true, after: s.retryAfter(resp.Header.Get("Retry-After"))}
	case code >= 500 && code != http.StatusNotImplemented:
		return verdict{retry: true}
	case code >= 400:
		return verdict{outcome: refused}
	default:
		return verdict{outcome: delivered}
	}
}

// retryAfter parses seconds (LiveKit's, scaled) or a date (not scaled). It returns nil if the header is absent or invalid.
func (s *sender) retryAfter(header string) *time.Duration {
	var wait time.Duration
	if n, err := strconv.Atoi(header); err == nil {
		if n < 0 {
			return nil
		}
		wait = s.opts.seconds(n)
		return &wait
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return nil
	}
	wait = max(0, time.Until(at))
	return &wait
}
