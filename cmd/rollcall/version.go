package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// VersionInfo describes the build. Fields that the build does not know are empty.
type VersionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the linker and the Go tool wrote into the binary. The linker's values win.
func buildVersion() VersionInfo {
	v := VersionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	v.Version, v.Commit, v.Time = cmp.Or(v.Version, "devel"), cmp.Or(commit, v.Commit), cmp.Or(commitTime, v.Time)
	return v
}

// String describes the build in one line.
func (v VersionInfo) String() string {
	s := fmt.Sprintf("rollcall %s (%s, %s", v.Version, v.Go, v.Platform)
	if v.Commit != "" {
		s += ", commit " + v.Commit
	}
	if v.Modified {
		s += ", modified"
	}
	return s + ")"
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(a.stdout, buildVersion())
			}
			_, err := fmt.Fprintln(a.stdout, buildVersion())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
