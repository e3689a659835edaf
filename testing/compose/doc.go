// Package compose runs the docker-compose.yml that users run, on images that it builds without a registry, and breaks it on
// purpose. Tests that need several hosts build on it.
//
// Projects share nothing (names, networks, volumes and ports are their own), so several may run at once. Down leaves nothing of a
// project behind. Whatever is missing on the machine is reported as ErrUnavailable, with what to install. Nothing is fetched from
// a registry. Package compose works with `docker compose` and with docker-compose 1.29.
//
// The images contain what the machine has: rollcall built from this work tree, in the unchanged last stage of deploy/Dockerfile;
// livekit-server as livekittest builds it; redis-server, redis-cli and busybox (for wget) from the PATH, with the shared
// libraries that ldd names. They keep the users, paths and entry points of the images that users pull. A machine has one image of
// each: two work trees that build at the same time may start each other's.
//
// It is known to work with Docker Engine 20.10 on Linux 6.18 (fuse-overlayfs, cgroup v1, Debian 12), with docker-compose 1.29 and
// with docker compose 2.40: bridge networks with names, ports published on loopback, read-only root file systems, dropped
// capabilities, named volumes, pause (cgroup freezer), SIGKILL and start, disconnecting a container from its network and
// reconnecting it. From the host, as root, in a container's network namespace (nsenter -t PID -n): iptables with DROP, REJECT and
// -m statistic, also in one direction; tc with tbf. That kernel has no netem, so latency and jitter need a proxy.
package compose
