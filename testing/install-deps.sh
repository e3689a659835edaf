#!/usr/bin/env bash
# Installs what the tests of packages need and the machine lacks: testing/install-deps.sh [pattern...], by default ./...
# It needs root, or sudo, only if something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v go >/dev/null || { echo "go is not on the PATH: the tests need Go 1.26, see https://go.dev/dl" >&2; exit 1; }
packages=$(go list -test -deps "${@:-./...}")
# tests PACKAGE: whether this package is tested, or used by a test.
tests() { grep -q "^github.com/rollcallhq/rollcall/$1\$" <<<"$packages"; }

missing=()
# need COMMAND PACKAGE…: adds the packages to missing if the command is not installed.
need() { command -v "$1" >/dev/null || missing+=("${@:2}"); }

# The race detector needs a C compiler. RACE=0 says that it is off.
# shellcheck source=testing/unraced.sh
source testing/unraced.sh
if [ "${RACE:-}" = 1 ] || { [ "${RACE:-}" != 0 ] && go list "${@:-./...}" | grep -qvE "/($single|$libraries|$rigs|$drivers|$containers)\$"; }; then
	need "$(go env CC)" gcc libc6-dev
fi
if tests testing/harness/redistest || tests testing/localcluster; then need redis-server redis-server; fi
if tests testing/browser || tests testing/docs; then need node nodejs; fi # it runs the modules and the TypeScript of the pages
if tests testing/harness/browsertest && ! command -v chromium-headless-shell >/dev/null && ! command -v chromium >/dev/null; then
	chromium=chromium
	if apt-cache show chromium-headless-shell >/dev/null 2>&1; then chromium=chromium-headless-shell; fi # Debian has it, Ubuntu has not
	missing+=("$chromium" fonts-dejavu-core) # screenshots need a font
fi
if tests cmd/rollcall; then # its completion is loaded into each shell, its manual pages are formatted
	need zsh zsh
	need fish fish
	need mandoc mandoc
fi
if tests testing/docs; then # it runs what the pages show
	need systemd-analyze systemd
	for python in python3 /usr/bin/python3; do "$python" -c 'import redis' 2>/dev/null && break; done || missing+=(python3-redis)
fi
# Where Docker is installed, testing/compose makes images of these, with busybox for its wget, and testing/chaos cuts and slows networks.
if tests testing/compose && command -v docker >/dev/null; then
	need redis-server redis-server
	need busybox busybox-static
	need iptables iptables
	need tc iproute2
fi
if [ -n "${DEPLOY:-}" ] && tests testing/deploy/release; then # it installs packages on a Debian that it makes
	need debootstrap debootstrap
	need dpkg-deb dpkg
	need docker docker.io
fi
# The package prometheus would start a server, and promtool is all that is needed: it is taken out of the package and put into bin/ (or BIN).
promtool=()
if tests testing/deploy/prometheus && [ ! -x "${BIN:=bin}/promtool" ] && ! command -v promtool >/dev/null; then promtool=(prometheus); fi
[ ${#missing[@]} -eq 0 ] && [ ${#promtool[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	missing+=("${promtool[@]/prometheus/promtool}")
	echo "the tests need ${missing[*]} on the PATH (Redis 6.2 or newer; python3-redis is Python's library redis): install it with your package manager" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null; then as_root=(sudo)
	elif [ ${#missing[@]} -gt 0 ]; then echo "the tests need ${missing[*]}: run 'apt-get install ${missing[*]}' as root" >&2; exit 1
	fi
fi
if [ ${#promtool[@]} -gt 0 ]; then
	echo "downloading promtool, which the tests need"
	mkdir -p "$BIN"
	there=$(cd "$BIN" && pwd)
	unpacked=$(mktemp -d)
	trap 'rm -rf "$unpacked"' EXIT
	(
		cd "$unpacked"
		# Where the lists of packages are missing, they are fetched first, as root.
		apt-get download -qq prometheus 2>/dev/null || { "${as_root[@]}" apt-get update -qq; apt-get download -qq prometheus; }
		dpkg-deb -x prometheus_*.deb .
		mv usr/bin/promtool "$there/promtool"
	)
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing ${missing[*]}, which the tests need"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
