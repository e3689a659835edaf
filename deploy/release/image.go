package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the user of the image, as in deploy/Dockerfile.
const nobody = 65532

// image writes an image that docker load and podman load read. It holds the binary of the archive, and is configured as
// deploy/Dockerfile says; a test compares the two.
func (r *release) image(t target, stage string) error {
	files, err := r.layer(filepath.Join(stage, "rollcall"))
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		return fmt.Errorf("make the layer of the image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return fmt.Errorf("add the layer to the image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("read the configuration of the image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created, config.Config = t.os, t.arch, v1.Time{Time: r.commit}, imageConfig(r.version)
	config.History = []v1.History{{Created: config.Created, CreatedBy: "make release"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return fmt.Errorf("configure the image: %w", err)
	}
	tag, err := name.NewTag("rollcall:"+fileVersion(r.version)+"-"+t.arch, name.WithDefaultRegistry(""))
	if err != nil {
		return fmt.Errorf("name the image: %w", err)
	}
	return r.create(r.name(t)+".image.tar", func(w io.Writer) error { return tarball.Write(tag, image, w) })
}

// imageConfig returns how the image is run.
func imageConfig(version string) v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", nobody, nobody),
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "ROLLCALL_DATA_DIR=/data"},
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "7000/tcp": {}},
		Healthcheck: &v1.HealthConfig{
			Test: []string{"CMD", "/rollcall", "ready"}, Interval: 5 * time.Second, Timeout: 4 * time.Second, StartPeriod: 20 * time.Second, Retries: 3,
		},
		StopSignal: "SIGTERM",
		Entrypoint: []string{"/rollcall"},
		Cmd:        []string{"serve"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "rollcall",
			"org.opencontainers.image.description": "Keeps in Redis who is in which LiveKit room",
			"org.opencontainers.image.source":      "https://github.com/rollcallhq/rollcall",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     version,
		},
	}
}

// layer returns the files of the image as a tar file.
func (r *release) layer(binary string) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read the binary: %w", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, text []byte) error {
		h.ModTime, h.Size, h.Format = r.commit, int64(len(text)), tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(text)
		return err
	}
	folder := func(name string) error { return add(tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, nil) }
	err = errors.Join(
		// A new volume takes over the owner of the directory that it is mounted on.
		add(tar.Header{Name: "data/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: nobody, Gid: nobody}, nil),
		folder("etc/"), folder("etc/ssl/"), folder("etc/ssl/certs/"),
		add(tar.Header{Name: "etc/ssl/certs/ca-certificates.crt", Typeflag: tar.TypeReg, Mode: 0o644}, authorities()),
		add(tar.Header{Name: "rollcall", Typeflag: tar.TypeReg, Mode: 0o755}, program),
		w.Close(),
	)
	if err != nil {
		return nil, fmt.Errorf("write the files of the image: %w", err)
	}
	return b.Bytes(), nil
}

// authorities returns the certificate authorities that Mozilla trusts, as of the module in go.mod: those of the machine may differ
// from those of the next one. Authorities that are trusted with conditions are left out, because a file cannot hold the conditions.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer does not fail
		}
	}
	return b.Bytes()
}
