package nodetest

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/rollcallhq/rollcall/internal/config"
)

// Config returns the configuration that rollcall serve reads from an environment and flags.
func Config(t testing.TB, environ []string, args ...string) config.Config {
	t.Helper()
	return Load(t, environ, args...).Config
}

// Load is Config with the sources and warnings.
func Load(t testing.TB, environ []string, args ...string) config.Loaded {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(flags, environ, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
