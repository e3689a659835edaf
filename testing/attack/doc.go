// Package attack attacks the real binary from outside, as strangers, holders of small tokens and local programs would. It promises that
// every attack runs against a node under a memory limit, and that it is judged by what SECURITY.md promises: the process lives, webhooks are
// answered within 5 s all along, /livez answers, and nothing changes that the attacker may not change.
package attack
