// Package remote is the way to the rooms of other nodes: requests over protoactor's remote, in the messages of
// internal/wire.
//
// A request is answered, or fails with one of actors' errors by its deadline; one that may have been lost is repeated
// within it, which rooms allow for (an event that is known changes nothing). Nothing of a node but its door can be
// reached: what a peer sends is sifted before the library sees it. Peers prove who they are by certificates, where the
// Config has them.
//
// The library's own ways on trouble (it sleeps, it delivers late, it forgets silently, it falls for unknown messages) are
// kept from the rest by interceptors around its streams: see link and gate.
package remote
