#!/usr/bin/env bash
# Installs what the tests need and the machine lacks. Needs root, or sudo, only when something is missing.
set -euo pipefail

command -v redis-server >/dev/null && exit 0

if ! command -v apt-get >/dev/null; then
	echo "the tests need redis-server 6.2 or newer on the PATH: install it with your package manager" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "the tests need redis-server: run 'apt-get install redis-server' as root" >&2; exit 1; }
	as_root=(sudo)
fi
echo "installing redis-server, which the tests need"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server >/dev/null
