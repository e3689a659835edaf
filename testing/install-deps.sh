#!/usr/bin/env bash
# Installs what the tests need and the machine lacks, or of that only the command named. Needs root, or sudo, only when
# something is missing.
set -euo pipefail

missing=()
# need COMMAND PACKAGE…: the packages that bring a command.
need() { command -v "$1" >/dev/null || missing+=("${@:2}"); }

need redis-server redis-server
if [ "${1:-}" != redis-server ]; then
	need chromium chromium fonts-dejavu-core # testing/browser drives it, and looks at letters
	# testing/docs runs what the pages show, cmd/rollcall lets each shell read its completion.
	need systemd-analyze systemd
	need zsh zsh
	need fish fish
	need mandoc mandoc
	for python in python3 /usr/bin/python3; do "$python" -c 'import redis' 2>/dev/null && break; done || missing+=(python3-redis)
	# Where there are containers, testing/compose puts busybox into an image, for its wget, and testing/chaos cuts and slows their networks.
	if command -v docker >/dev/null; then
		need busybox busybox-static
		need iptables iptables
		need tc iproute2
	fi
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "the tests need ${missing[*]} on the PATH (Redis 6.2 or newer; python3-redis is Python's library redis): install it with your package manager" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "the tests need ${missing[*]}: run 'apt-get install ${missing[*]}' as root" >&2; exit 1; }
	as_root=(sudo)
fi
echo "installing ${missing[*]}, which the tests need"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
