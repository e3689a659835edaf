#!/usr/bin/env bash
# Installs what the tests need and the machine lacks. Needs root, or sudo, only when something is missing.
set -euo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core) # testing/browser drives it, and looks at letters
# Where there are containers, testing/compose puts busybox into an image, for its wget.
if command -v docker >/dev/null && ! command -v busybox >/dev/null; then missing+=(busybox-static); fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "the tests need ${missing[*]} on the PATH (Redis 6.2 or newer): install it with your package manager" >&2
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
