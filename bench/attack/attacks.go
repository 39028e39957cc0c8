package main

import (
	"slices"

	"netserver/bench/flood"
)

// An attack is what happens to a server while honest clients come.
type attack struct {
	name, title string
	flood       flood.Options // no attack if the kind is empty
	calm        bool          // no honest clients: what is measured is the attack
	once        bool          // in the first round only, as it takes long
	extra       bool          // only if the user names it
	only        []string      // targets, if not all that are not extra
}

const spread = 500 // prefixes of a spread attack

// attacks returns the catalogue. conns is how many connections a flood has at
// once, stalled how many a holding attack has.
func attacks(conns, stalled int) []attack {
	one := func(k flood.Kind) flood.Options { return flood.Options{Kind: k, Conns: conns} }
	wide := func(k flood.Kind) flood.Options {
		return flood.Options{Kind: k, Conns: max(conns, spread), Prefixes: spread, Hosts: 200}
	}
	holding := func(k flood.Kind, n int) flood.Options {
		return flood.Options{Kind: k, Conns: max(n, 1), Prefixes: 20, Hosts: 5}
	}
	self := []string{ours, oursOff, bareLoop}
	return []attack{
		{name: "none", title: "no attack"},
		{name: "full", title: "full handshakes, one address", flood: one(flood.Full)},
		{name: "late", title: "bad Finished, one address", flood: one(flood.Late)},
		{name: "garbage", title: "ClientHello and garbage, one address", flood: one(flood.Garbage)},
		{name: "reset", title: "connect and reset, one address", flood: one(flood.Reset)},
		{name: "hello-reset", title: "ClientHello and reset, one address", flood: one(flood.HelloReset), extra: true},
		{name: "spread-full", title: "full handshakes, 500 prefixes", flood: wide(flood.Full)},
		{name: "spread-late", title: "bad Finished, 500 prefixes", flood: wide(flood.Late)},
		{name: "spread-garbage", title: "ClientHello and garbage, 500 prefixes", flood: wide(flood.Garbage), extra: true},
		{name: "spread-reset", title: "connect and reset, 500 prefixes", flood: wide(flood.Reset), extra: true},
		{name: "stall", title: "stall after connect", flood: holding(flood.Stall, stalled), once: true},
		{name: "stall-hello", title: "stall in the ClientHello", flood: holding(flood.StallHello, stalled), once: true},
		{name: "slow", title: "a byte a second", flood: holding(flood.Slow, stalled/5), once: true},
		{name: "alone", title: "full handshakes, nobody else", flood: one(flood.Full), calm: true, only: self},
		{name: "cost", title: "one handshake at a time, nobody else", flood: flood.Options{Kind: flood.Full, Conns: 1}, calm: true, only: self},
		{name: "denied", title: "connections of a denied address", flood: flood.Options{Kind: flood.Connect, Conns: 16}, calm: true, only: []string{oursDeny, bareClose}},
	}
}

// holds reports whether the attack holds connections.
func (a attack) holds() bool { return a.flood.Kind.Holds() }

// wants reports whether the attack is run against t, of the targets that were
// chosen.
func (a attack) wants(t target) bool {
	if a.only != nil {
		return slices.Contains(a.only, t.name)
	}
	return !t.plain && t.name != oursDeny
}
