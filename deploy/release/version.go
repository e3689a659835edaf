package main

import (
	"regexp"
	"strings"
)

// described matches what git describe says: a tag, and, if the commit is not the tag's own, the number of commits since and the
// commit; -dirty if the work tree differs from it.
var described = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(?:-((?:alpha|beta|rc)[.\d]*))?(?:-(\d+-g[0-9a-f]+))?(-dirty)?$`)

// fileVersion returns a version as the names of files have it: without the v.
func fileVersion(version string) string {
	if described.MatchString(version) {
		return strings.TrimPrefix(version, "v")
	}
	return version
}

// packageVersion returns a version that dpkg and rpm sort as intended: 0.1.0~rc1 before 0.1.0, and 0.1.0+12.gabc123 after it. A commit
// without a tag before it counts as before all releases.
func packageVersion(version string) string {
	m := described.FindStringSubmatch(version)
	plain := strings.NewReplacer("-", ".")
	if m == nil {
		return "0.0.0~" + plain.Replace(version)
	}
	v := m[1]
	if m[2] != "" {
		v += "~" + m[2]
	}
	if m[3] != "" {
		v += "+" + plain.Replace(m[3])
	}
	if m[4] != "" {
		v += "+dirty"
	}
	return v
}
