package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // packs .deb
	_ "github.com/goreleaser/nfpm/v2/rpm" // packs .rpm
)

// packages writes the packages of a Linux target, as deploy/packages/nfpm.yaml describes them.
func (r *release) packages(t target, stage string) error {
	packages := filepath.Join(r.root, "deploy", "packages")
	values := map[string]string{"ARCH": t.arch, "VERSION": packageVersion(r.version), "STAGE": stage}
	for _, format := range []string{"deb", "rpm"} {
		// The packers change what they are given, so each reads it again.
		config, err := nfpm.ParseFileWithEnvMapping(filepath.Join(packages, "nfpm.yaml"), func(name string) string { return values[name] })
		if err != nil {
			return fmt.Errorf("read how to make packages: %w", err)
		}
		info, err := config.Get(format)
		if err != nil {
			return fmt.Errorf("read how to make a %s: %w", format, err)
		}
		info.MTime = r.commit
		for _, script := range []*string{&info.Scripts.PreInstall, &info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove} {
			*script = filepath.Join(packages, *script)
		}
		info = nfpm.WithDefaults(info)
		packer, err := nfpm.Get(format)
		if err != nil {
			return fmt.Errorf("find what packs a %s: %w", format, err)
		}
		if err := r.create(r.name(t)+"."+format, func(w io.Writer) error { return packer.Package(info, w) }); err != nil {
			return err
		}
	}
	return nil
}
