#!/bin/sh
# dpkg's purge also removes the data, which rollcall makes again by itself. The user stays: files elsewhere may belong to it.
set -e
if [ "$1" = purge ]; then
	rm -rf /var/lib/rollcall
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
