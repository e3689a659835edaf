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
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// mailWithin is longer than LiveKit keeps retrying.
const mailWithin = 90 * time.Second

// closeSegment judges all that Redis has kept so far, before it may lose it.
func (w *World) closeSegment(ctx context.Context) error {
	w.mu.Lock()
	since := w.segment
	w.mu.Unlock()
	return w.judgeFeed(ctx, since)
}

// openSegment starts over: what was confirmed until now may be lost.
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

// awaitMail waits until LiveKit has no webhooks queued or in flight.
func (w *World) awaitMail(ctx context.Context) error {
	return await(mailWithin, ctx.Done(), func() error {
		if n := w.fake.Stats().Waiting; n > 0 {
			return fmt.Errorf("%d webhooks are still on their way", n)
		}
		return nil
	})
}

// syncWhole runs a sync. It returns an error if the request joins a sync that had begun before, or if the sync defers something
// to the next: for the time of --livekit-lag a sync does not contradict a webhook.
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

// judgeFeed checks the feed against the truth, the webhooks' answers, and the keys.
func (w *World) judgeFeed(ctx context.Context, since time.Time) error {
	// The webhooks are read first: the feed then contains all that were answered by now.
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

// foldFeed reads the feed and compares it with the keys. The feed keeps growing in the meantime, so it makes sure that both are
// of one moment.
func (w *World) foldFeed(ctx context.Context) (feed []redis.XMessage, err error) {
	if w.opts.Cluster {
		return w.readShardFeeds(ctx) // a failover may have lost entries in the middle of a chain
	}
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

// streamPage is how many entries are read at once: a page must arrive within the client's timeout.
const streamPage = 2000

// readStream reads all entries up to last, "+" for the newest.
func readStream(ctx context.Context, c redis.Cmdable, key, last string) (all []redis.XMessage, err error) {
	for from := "-"; ; {
		var page []redis.XMessage
		err := await(10*time.Second, ctx.Done(), func() (err error) { // on a busy machine one page may take longer than the client waits
			page, err = c.XRangeN(ctx, key, from, last, streamPage).Result()
			return err
		})
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

// checkSecrets searches all keys, all logs and the nodes' data for secrets, which must not be there.
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
	keys, err := w.keys(ctx, "rooms:*")
	errs = append(errs, err)
	for _, key := range keys {
		text, err := w.valueOf(ctx, key)
		if err != nil && !errors.Is(err, redis.Nil) {
			errs = append(errs, err)
		}
		w.checkText("the key "+key, text)
	}
	return errors.Join(errs...)
}

// valueOf returns a key's whole value as text, whatever its type.
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

// checkFiles searches a node's data directory for secrets.
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

// ignoreGone ignores the error for a file that a running node has removed in the meantime.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// jwt matches a token of LiveKit's or of ours.
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

// keepLog saves a container's log before the container is removed.
func (w *World) keepLog(ctx context.Context, service string) {
	if log, err := w.project.AllLogs(ctx, service); err == nil {
		w.logs[service] += log
	}
}

// judgeSpared checks that no webhook failed of the rooms that a fault spares, such as those of other shards.
func (w *World) judgeSpared(ctx context.Context, webhooks []clusterkit.Webhook) {
	for _, f := range w.report.Faults {
		if f.spares == nil {
			continue
		}
		for _, one := range webhooks {
			if len(one.Failed) == 0 || one.First.Before(f.mark) || one.First.After(f.end) {
				continue
			}
			if spared, err := f.spares(ctx, one.Room); err != nil {
				w.violate(0, "%s: whether it spares room %q: %v", f.Name, one.Room, err)
			} else if spared {
				w.violate(4, "%s: room %q is on another shard, and %s %s failed with %v", f.Name, one.Room, one.Event, one.ID, one.Failed)
			}
		}
	}
}

// finish completes the report.
func (w *World) finish(ctx context.Context) {
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
	w.judgeSpared(ctx, webhooks)
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
