// Package web holds what browsers get from a node: the page, the custom element <sync-status-indicator> and the module
// rollcall-client.js, all from static/.
//
// It promises that they need nothing else: no build, no other host, no script or style inside the HTML. The page's policy
// (policy.go) forbids all of that, and forbids that text ever becomes markup.
package web
