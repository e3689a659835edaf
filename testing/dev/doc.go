// Package dev tries `make dev` as someone at a terminal does: the target itself, a look at what it says and where it points to,
// and Ctrl-C. It promises that nothing of it is left: no process, no port, no file.
package dev
