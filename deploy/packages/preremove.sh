#!/bin/sh
# Stops and disables the service if rollcall is removed; not for an upgrade, whose postinstall.sh restarts it.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now rollcall.service
elif command -v systemctl >/dev/null; then
	systemctl disable rollcall.service
fi
