#!/bin/sh
# Creates the user and the group rollcall, before the files that belong to them are unpacked.
set -e
if ! getent group rollcall >/dev/null; then
	groupadd --system rollcall
fi
if ! getent passwd rollcall >/dev/null; then
	useradd --system --gid rollcall --home-dir /var/lib/rollcall --no-create-home --shell /usr/sbin/nologin --comment rollcall rollcall
fi
