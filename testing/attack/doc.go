// Package attack attacks the real binary from outside, as strangers, holders of limited tokens and local programs would. Every
// attack runs against a node under a memory limit. It is judged by what SECURITY.md promises: the process survives, webhooks are
// answered in time throughout (see answerWithin), /livez answers, and nothing changes that the attacker may not change.
package attack
