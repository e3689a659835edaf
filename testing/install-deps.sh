#!/usr/bin/env bash
# Installs what the tests need and the machine lacks. Needs root, or sudo, only when something is missing.
set -euo pipefail

missing=()
for package in redis-server chromium; do # each brings a command of its own name
	command -v "$package" >/dev/null || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "the tests need ${missing[*]} on the PATH (redis-server 6.2 or newer): install with your package manager" >&2
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
