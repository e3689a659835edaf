package main

import (
	"context"
	"errors"
	"io"
)

// wired gives the commands the real node.
func wired() deps {
	return deps{
		Serve: func(context.Context, Config, io.Writer, io.Writer) error {
			return errors.New("serve: this build has no node in it")
		},
		Dev: func(context.Context, Config, DevOptions, io.Writer, io.Writer) error {
			return errors.New("dev: this build has no node in it")
		},
	}
}
