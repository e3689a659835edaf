package main

import (
	"io"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ git, file, pkg string }{
		{"v0.1.0", "0.1.0", "0.1.0"},
		{"v1.12.3-rc.1", "1.12.3-rc.1", "1.12.3~rc.1"},
		{"v0.1.0-12-gabc1234", "0.1.0-12-gabc1234", "0.1.0+12.gabc1234"},
		{"v0.1.0-rc1-2-gabc1234-dirty", "0.1.0-rc1-2-gabc1234-dirty", "0.1.0~rc1+2.gabc1234+dirty"},
		{"abc1234", "abc1234", "0.0.0~abc1234"},
		{"abc1234-dirty", "abc1234-dirty", "0.0.0~abc1234.dirty"},
	} {
		if got := fileVersion(c.git); got != c.file {
			t.Errorf("fileVersion(%q) = %q, want %q", c.git, got, c.file)
		}
		if got := packageVersion(c.git); got != c.pkg {
			t.Errorf("packageVersion(%q) = %q, want %q", c.git, got, c.pkg)
		}
	}
}

// TestNothingIsBuiltWithoutATime checks that a release without the commit's time fails before it removes anything.
func TestNothingIsBuiltWithoutATime(t *testing.T) {
	t.Parallel()
	for _, epoch := range []string{"", "yesterday"} {
		err := run(t.Context(), []string{"-version", "v1.2.3", "-out", t.TempDir()}, epoch, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
			t.Errorf("SOURCE_DATE_EPOCH=%q: %v", epoch, err)
		}
	}
	if err := run(t.Context(), []string{"-version", "v1.2.3"}, "1", io.Discard); err == nil || !strings.Contains(err.Error(), "-out") {
		t.Errorf("without -out: %v", err)
	}
}
