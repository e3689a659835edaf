package release

import (
	"path/filepath"
	"strings"
	"testing"
)

// ready waits until the service answers, for at most a minute.
const ready = "i=0; until rollcall ready >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 240 ] || { journalctl -u rollcall --no-pager | tail -20; exit 1; }; sleep 0.25; done; "

// fillIn writes settings with which a node runs without a network.
const fillIn = `
sed -i 's/^LIVEKIT_API_KEY=/&key/; s/^LIVEKIT_API_SECRET=/&a-secret-for-this-container-only-32/' /etc/rollcall/env
printf 'livekit-host: http://127.0.0.1:7880\nembedded-redis: true\n' >> /etc/rollcall/rollcall.yaml`

// owners prints modes and owners.
const owners = "stat -c '%n %a %U %G' /etc/rollcall /etc/rollcall/env /etc/rollcall/rollcall.yaml"

const rightOwners = "/etc/rollcall 750 root rollcall\n/etc/rollcall/env 600 root root\n/etc/rollcall/rollcall.yaml 640 root rollcall"

// checkPackages installs the packages on a Debian, and removes them.
func checkPackages(t *testing.T, dir string) {
	for arch, machine := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		file := filepath.Join(dir, base+"linux_"+arch+".deb")
		if got := strings.Fields(run(t, "dpkg-deb", "--showformat=${Package} ${Version} ${Architecture}", "--show", file)); strings.Join(got, " ") != "rollcall 9.8.7 "+arch {
			t.Errorf("%s is %v", file, got)
		}
		t.Run("rpm "+arch, func(t *testing.T) { checkRPM(t, dir, arch, machine) })
	}
	t.Run("deb", func(t *testing.T) { checkDeb(t, dir) })
}

// checkDeb installs the deb, starts the service, breaks a setting, upgrades, removes and purges.
func checkDeb(t *testing.T, dir string) {
	d := startDebian(t, dir)
	install := "dpkg --install /release/" + base + "linux_amd64.deb 2>&1"
	if said := d.sh(install); !strings.Contains(said, "systemctl enable --now rollcall") {
		t.Errorf("the installation does not say what to do next:\n%s", said)
	}
	d.want(owners, rightOwners)
	d.want("systemctl is-enabled rollcall || systemctl is-active rollcall || true", "disabled\ninactive")
	d.sh("test -s /usr/share/man/man1/rollcall.1.gz; bash -n /usr/share/bash-completion/completions/rollcall; dpkg --verify rollcall")
	d.sh(fillIn + "\nsystemctl enable --now rollcall; " + ready)
	// Its user, without capabilities or new privileges, under the filter of system calls.
	d.want("pid=$(systemctl show -p MainPID --value rollcall); stat -c %U /proc/$pid; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/$pid/status | tr '\\t' ' '",
		"rollcall\nCapEff: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2")
	d.want("stat -c '%a %U' /var/lib/rollcall", "700 rollcall")
	d.sh("rollcall version | grep -F 'rollcall " + version + " '")
	checkWrongSetting(d)
	checkUpgrade(d, install)
	d.sh("dpkg --remove rollcall; ! pidof rollcall; test ! -e /usr/bin/rollcall; test ! -e /etc/systemd/system/multi-user.target.wants/rollcall.service; test -d /var/lib/rollcall/raft")
	d.want(owners, rightOwners)
	d.sh("dpkg --purge rollcall; test ! -e /etc/rollcall; test ! -e /var/lib/rollcall")
}

// checkWrongSetting restarts the service with a setting that does not exist: it ends, says why, and is not started again and again.
func checkWrongSetting(d *debian) {
	d.Helper()
	d.sh("echo 'http-adr: x' >> /etc/rollcall/rollcall.yaml; systemctl restart rollcall; i=0; until [ $(systemctl is-failed rollcall) = failed ]; do i=$((i+1)); [ $i -lt 100 ]; sleep 0.1; done")
	d.want("systemctl show -p ExecMainStatus -p NRestarts rollcall | sort", "ExecMainStatus=2\nNRestarts=0")
	d.sh("journalctl -u rollcall --no-pager | grep -F 'did you mean \"http-addr\"'")
	d.sh("sed -i '/http-adr:/d' /etc/rollcall/rollcall.yaml; systemctl start rollcall; " + ready)
}

// checkUpgrade installs the package over itself: the settings stay, and the service is another process.
func checkUpgrade(d *debian, install string) {
	d.Helper()
	pid := "systemctl show -p MainPID --value rollcall"
	before := d.sh(pid)
	d.sh(install + "; " + ready + "grep -q '^embedded-redis: true' /etc/rollcall/rollcall.yaml; systemctl is-enabled rollcall")
	if after := d.sh(pid); after == before || after == "0" {
		d.Errorf("process %s is %s after an upgrade", before, after)
	}
	d.want(owners, rightOwners)
}

// checkRPM reads an rpm, and installs that of this machine, with Debian's rpm and without what it depends on.
func checkRPM(t *testing.T, dir, arch, machine string) {
	d := startDebian(t, dir)
	file := "/release/" + base + "linux_" + arch + ".rpm"
	d.want("rpm -qp --queryformat '%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{BUILDHOST}' "+file, "rollcall 9.8.7 1 "+machine+" Apache-2.0 rollcallhq.invalid")
	d.want("rpm -qp --configfiles "+file, "/etc/rollcall/env\n/etc/rollcall/rollcall.yaml")
	d.sh("rpm -K --nosignature " + file)
	if arch != "amd64" {
		return
	}
	d.sh("rpm --install --nodeps " + file + " 2>&1 | grep -F 'systemctl enable --now rollcall'")
	d.want(owners, rightOwners)
	d.sh(fillIn + "\nsystemctl enable --now rollcall; " + ready)
	d.sh("test -s /usr/share/licenses/rollcall/LICENSE; test -s /usr/share/zsh/site-functions/_rollcall; rpm --upgrade --force --nodeps " + file + "; " + ready)
	d.sh("rpm --erase rollcall 2>&1; ! pidof rollcall; test ! -e /usr/bin/rollcall; test -s /etc/rollcall/rollcall.yaml.rpmsave")
}
