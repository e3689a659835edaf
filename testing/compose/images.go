package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// The images that override.yml names.
const (
	RollcallImage = "rollcall-test/rollcall:local"
	RedisImage    = "rollcall-test/redis:local"
	LiveKitImage  = "rollcall-test/livekit:local"
)

// redisUser is the user of the registries' redis image, which docker-compose.yml uses too.
const redisUser = "999:999"

// BuildImages builds all three images from this work tree and this machine. Unchanged parts come from the engine's cache. The
// first build may take minutes; lines about it go to progress.
func (e *Engine) BuildImages(ctx context.Context, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "rollcall-images")
	if err != nil {
		return fmt.Errorf("make a directory for images: %w", err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "rollcall")
	if err := e.BuildBinary(ctx, binary); err != nil {
		return err
	}
	if err := e.BuildRollcall(ctx, RollcallImage, binary); err != nil {
		return err
	}
	if err := e.buildRedis(ctx); err != nil {
		return err
	}
	return e.buildLiveKit(ctx, progress)
}

// BuildBinary builds a static rollcall of this work tree. flags are additional flags of go build, such as -overlay.
func (e *Engine) BuildBinary(ctx context.Context, target string, flags ...string) error {
	args := append([]string{"go", "build", "-trimpath", "-ldflags=-s -w -X main.version=test", "-o", target}, flags...)
	_, err := e.run(ctx, append(os.Environ(), "CGO_ENABLED=0"), append(args, "./cmd/rollcall")...)
	return err
}

// BuildRollcall builds an image of a static rollcall binary, with the last stage of deploy/Dockerfile.
func (e *Engine) BuildRollcall(ctx context.Context, tag, binary string) error {
	stage, err := lastStage(filepath.Join(e.root, "deploy", "Dockerfile"))
	if err != nil {
		return err
	}
	// What the stage copies from the stage before is here in the context, under the same paths.
	return e.build(ctx, tag, strings.ReplaceAll(stage, "--from=build ", ""), func(c *buildContext) error {
		return errors.Join(
			c.copyFile(binary, "out/rollcall", 0o755),
			c.makeDir("out/data"),
			c.copyFile("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt", 0o644),
		)
	})
}

// lastStage returns a Dockerfile from its last FROM on.
func lastStage(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the Dockerfile: %w", err)
	}
	at := strings.LastIndex(string(data), "\nFROM ")
	if at < 0 {
		return "", fmt.Errorf("%s has no second stage", file)
	}
	return string(data[at+1:]), nil
}

// RemoveImage removes the image with that tag, if there is one.
func (e *Engine) RemoveImage(ctx context.Context, tag string) error {
	out, err := e.docker(ctx, "image", "ls", "-q", tag)
	if err != nil || out == "" {
		return err
	}
	_, err = e.docker(ctx, "image", "rm", tag)
	return err
}

func (e *Engine) buildRedis(ctx context.Context) error {
	file := `FROM scratch
COPY files/ /
COPY --chown=` + redisUser + ` data/ /data/
WORKDIR /data
VOLUME /data
EXPOSE 6379
CMD ["redis-server"]
`
	return e.build(ctx, RedisImage, file, func(c *buildContext) error {
		return errors.Join(
			c.makeDir("data"),
			// A sentinel needs a configuration file that it can write to.
			os.WriteFile(c.in("data/sentinel.conf"), nil, 0o666),
			c.install(ctx, "redis-server", "/usr/local/bin/redis-server"),
			c.install(ctx, "redis-cli", "/usr/local/bin/redis-cli"),
		)
	})
}

func (e *Engine) buildLiveKit(ctx context.Context, progress io.Writer) error {
	server, err := livekittest.Binary(ctx, progress)
	if err != nil {
		return err
	}
	// Without GODEBUG, a server that was built with cgo resolves names through the C library, whose modules ldd does not show.
	file := `FROM scratch
COPY files/ /
ENV GODEBUG=netdns=go
ENTRYPOINT ["/livekit-server"]
`
	return e.build(ctx, LiveKitImage, file, func(c *buildContext) error {
		return errors.Join(
			c.install(ctx, server, "/livekit-server"),
			// Sufficient for the health check: a static busybox can use addresses, but cannot resolve names.
			c.install(ctx, "busybox", "/usr/bin/wget"),
		)
	})
}

// build builds an image from a Dockerfile and the files that fill provides, and removes the image that had the tag before.
func (e *Engine) build(ctx context.Context, tag, dockerfile string, fill func(*buildContext) error) error {
	dir, err := os.MkdirTemp("", "rollcall-image")
	if err != nil {
		return fmt.Errorf("make a directory for an image: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(fill(&buildContext{dir}), os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644)); err != nil {
		return fmt.Errorf("gather the files of %s: %w", tag, err)
	}
	before, _ := e.docker(ctx, "image", "inspect", "--format", "{{.Id}}", tag) // an error means that there was none
	if _, err := e.docker(ctx, "build", "--quiet", "--tag", tag, dir); err != nil {
		return fmt.Errorf("build the image %s: %w", tag, err)
	}
	now, err := e.docker(ctx, "image", "inspect", "--format", "{{.Id}}", tag)
	if err == nil && before != "" && before != now {
		_, _ = e.docker(ctx, "image", "rm", before) // refused while a container uses it
	}
	return err
}
