package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/oracle"
)

// mailWithin is longer than LiveKit goes on trying.
const mailWithin = 90 * time.Second

// closeSegment judges all that Redis has kept so far, before it may lose it.
func (w *World) closeSegment(ctx context.Context) error {
	w.mu.Lock()
	since := w.segment
	w.mu.Unlock()
	return w.judgeFeed(ctx, since)
}

// openSegment begins anew: what was confirmed until now may be lost.
func (w *World) openSegment() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.segment = time.Now()
}

// verify judges the whole run once the traffic has ended.
func (w *World) verify(ctx context.Context) error {
	if err := w.awaitMail(ctx); err != nil {
		w.violate(4, "%v", err)
	}
	if err := await(30*time.Second, ctx.Done(), func() error { return w.syncWhole(ctx) }); err != nil {
		w.violate(7, "a last sync: %v", err)
	}
	exact := await(30*time.Second, ctx.Done(), func() error {
		d, err := w.compare(ctx, true)
		if err == nil && len(d.wrong) > 0 {
			err = errors.New(example(d))
		}
		return err
	})
	if exact != nil {
		w.violate(7, "after the last sync: %v", exact)
	}
	return errors.Join(w.closeSegment(ctx), w.checkForeign(ctx), w.checkSecrets(ctx))
}

// awaitMail waits until LiveKit has no webhook on its way.
func (w *World) awaitMail(ctx context.Context) error {
	return await(mailWithin, ctx.Done(), func() error {
		if n := w.fake.Stats().Waiting; n > 0 {
			return fmt.Errorf("%d webhooks are still on their way", n)
		}
		return nil
	})
}

// syncWhole runs a sync. It is an error when that joins one that had begun before, or leaves something to the next: for --livekit-lag a
// sync does not contradict what a webhook told.
func (w *World) syncWhole(ctx context.Context) error {
	c, err := w.client(w.running()[0])
	if err != nil {
		return err
	}
	began := time.Now()
	answer, err := c.Sync(ctx, client.ActionOptions{})
	if err == nil && answer.Result.Errors > 0 {
		err = fmt.Errorf("%d errors: %s", answer.Result.Errors, answer.FirstError)
	}
	if err != nil {
		return err
	}
	return clusterkit.Whole(ctx, c, began)
}

// judgeFeed holds what the feed tells against the truth, the webhooks' answers, and the keys.
func (w *World) judgeFeed(ctx context.Context, since time.Time) error {
	// The webhooks first: what was answered before the feed was read stands in it.
	var webhooks []clusterkit.Webhook
	for _, one := range w.ledger.All() {
		if one.First.After(since) {
			webhooks = append(webhooks, one)
		}
	}
	feed, err := w.foldFeed(ctx)
	if err != nil {
		return err
	}
	problems, err := clusterkit.Acknowledged(feed, webhooks)
	if err != nil {
		return err
	}
	for _, p := range problems {
		w.violate(4, "%s", p)
	}
	for _, p := range presence(feed, w.truth.all()) {
		w.violate(5, "%s", p)
	}
	for _, p := range early(feed, w.truth.roomEnds()) {
		w.violate(6, "%s", p)
	}
	return nil
}

// foldFeed reads the feed and holds it against the keys. It goes on growing meanwhile, so both are compared by one look at both.
func (w *World) foldFeed(ctx context.Context) (feed []redis.XMessage, err error) {
	var folds error
	for range 5 { // the keys must not change between the two reads
		before, err := w.redis.XInfoStream(ctx, feedKey).Result()
		if err != nil {
			return nil, fmt.Errorf("read the feed: %w", err)
		}
		moment, err := w.readRedis(ctx)
		if err != nil {
			return nil, err
		}
		if feed, err = readStream(ctx, w.redis, feedKey, before.LastGeneratedID); err != nil {
			return nil, fmt.Errorf("read the feed: %w", err)
		}
		after, err := w.redis.XInfoStream(ctx, feedKey).Result()
		if err != nil {
			return nil, err
		}
		if folds = nil; w.opts.Sentinel {
			break // a failover may have lost entries in the middle of a chain
		}
		if folds = oracle.FeedAgrees(feed, moment); folds == nil || before.LastGeneratedID == after.LastGeneratedID {
			break
		}
	}
	if folds != nil {
		w.violate(1, "%v", folds)
	}
	return feed, nil
}

const feedKey = "rooms:events"

// streamPage is how many entries are read at once, since a page must come within the client's patience.
const streamPage = 2000

// readStream reads all entries up to one, "+" for the last.
func readStream(ctx context.Context, c redis.Cmdable, key, last string) (all []redis.XMessage, err error) {
	for from := "-"; ; {
		page, err := c.XRangeN(ctx, key, from, last, streamPage).Result()
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < streamPage {
			return all, nil
		}
		from = "(" + page[len(page)-1].ID
	}
}

// checkSecrets looks into all keys, all logs and the nodes' data for what must not be there.
func (w *World) checkSecrets(ctx context.Context) error {
	var errs []error
	for _, s := range w.running() {
		if w.keepLog(ctx, s); w.logs[s] == "" {
			errs = append(errs, fmt.Errorf("%s has no log to look into", s))
		}
	}
	for _, dir := range w.mounted {
		errs = append(errs, w.checkFiles(dir))
	}
	for node, log := range w.logs {
		w.checkText("the log of "+nodeID(node), log)
		for _, bad := range []string{"panic", "DATA RACE", "fatal error"} {
			if at := strings.Index(log, bad); at >= 0 {
				w.violate(0, "the log of %s has %q: …%s…", nodeID(node), bad, log[max(0, at-300):min(len(log), at+1500)])
			}
		}
	}
	it := w.redis.Scan(ctx, 0, "rooms:*", 1000).Iterator()
	for it.Next(ctx) {
		text, err := w.valueOf(ctx, it.Val())
		if err != nil && !errors.Is(err, redis.Nil) {
			errs = append(errs, err)
		}
		w.checkText("the key "+it.Val(), text)
	}
	return errors.Join(append(errs, it.Err())...)
}

// valueOf is a key's whole value as text, whatever its type.
func (w *World) valueOf(ctx context.Context, key string) (string, error) {
	kind, err := w.redis.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	if kind == "stream" {
		all, err := readStream(ctx, w.redis, key, "+")
		return fmt.Sprint(all), err
	}
	ask := map[string][]any{"string": {"GET", key}, "hash": {"HGETALL", key}, "list": {"LRANGE", key, 0, -1},
		"set": {"SMEMBERS", key}, "zset": {"ZRANGE", key, 0, -1}}[kind]
	if ask == nil {
		return "", nil
	}
	value, err := w.redis.Do(ctx, ask...).Result()
	return fmt.Sprint(value), err
}

// checkFiles looks into what a node keeps on its disk.
func (w *World) checkFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ignoreGone(err)
		}
		data, err := os.ReadFile(path)
		w.checkText("the file "+path, string(data))
		return ignoreGone(err)
	})
}

// ignoreGone is for files that a running node removes meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// jwt is a token of LiveKit's or of ours.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.`)

func (w *World) checkText(where, text string) {
	for _, secret := range []string{compose.Secret, token, fakelivekit.TurnPassword} {
		if strings.Contains(text, secret) {
			w.violate(9, "%s holds the secret %q", where, secret)
		}
	}
	if at := jwt.FindStringIndex(text); at != nil {
		w.violate(9, "%s holds a token: %s", where, text[at[0]:at[1]])
	}
}

// keepLog takes a container's log before the container goes.
func (w *World) keepLog(ctx context.Context, service string) {
	if log, err := w.project.AllLogs(ctx, service); err == nil {
		w.logs[service] += log
	}
}

// finish sums the run up.
func (w *World) finish() {
	r := w.report
	r.Took = r.since(time.Now())
	r.Samples, r.Syncs = w.watch.all(), w.watch.after(time.Time{})
	webhooks := w.ledger.All()
	r.Webhooks = mail(webhooks, r.Began, time.Now())
	for _, f := range r.Faults {
		f.Webhooks = mail(webhooks, f.mark, f.end)
		if f.gentle && f.Webhooks.Retried > 0 {
			w.violate(4, "%s: in order and behind a balancer no webhook fails, and %d did, such as: %s", f.Name, f.Webhooks.Retried, f.Webhooks.Example)
		}
	}
	r.Leaderless = w.leaderless(0, r.Took)
	for _, witness := range w.witness {
		seen := witness.Testimony()
		r.Claims, r.Writes, r.Stale = r.Claims+seen.Claims, r.Writes+seen.Writes, r.Stale+seen.Stale
		for _, p := range seen.Problems {
			w.violate(2, "%s", p)
		}
	}
	if r.Writes == 0 || r.Claims == 0 {
		w.violate(0, "nobody saw any write")
	}
}
