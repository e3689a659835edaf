#!/bin/sh
# A first installation starts nothing, because nothing is configured; it says what to do. An upgrade restarts a service that runs.
# dpkg calls it with "configure" and the version before, if any; rpm with the number of versions that are then installed.
set -e
case "$1" in
configure) if [ -n "$2" ]; then upgrade=yes; else upgrade=no; fi ;;
1) upgrade=no ;;
[2-9]*) upgrade=yes ;;
*) exit 0 ;; # dpkg undoes something
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ $upgrade = yes ]; then
		systemctl try-restart rollcall.service
	fi
fi
if [ $upgrade = no ]; then
	echo "rollcall: write your settings to /etc/rollcall/rollcall.yaml and your secrets to /etc/rollcall/env, then: systemctl enable --now rollcall"
fi
