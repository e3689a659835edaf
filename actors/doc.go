// Package actors runs the rooms of a node: one room, one mailbox, one writer.
//
// Every room that the node owns is an actor under the supervisor "rooms". It claims its record before it reads it. It
// handles webhooks and looks in order, lets reconcile.Step decide and commits the plan to the Store. Router sends a
// webhook to the owner of its room. Host.Survey does one owner's part of a sync. Sweep does the leader's part: it sends
// work to the owners and sums what they report, and never writes a room itself.
package actors
