// Package release tests what is deployed: the packages, the systemd unit, the images, and the files that build and describe a release.
//
// Its light tests read the files, and take seconds. With DEPLOY=1, as make check-deploy sets it, TestRelease builds a release twice,
// installs its packages on a Debian made of Debian's own files, starts the service, and removes it.
package release

import (
	"os"
	"testing"
)

// root is the directory of the repository, relative to this package.
const root = "../../.."

// needDeploy skips a test that takes minutes, unless it was asked for.
func needDeploy(t *testing.T) {
	t.Helper()
	if os.Getenv("DEPLOY") == "" {
		t.Skip("it takes minutes, Docker and root: make check-deploy runs it")
	}
}
