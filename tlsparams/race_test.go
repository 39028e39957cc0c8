//go:build race

package tlsparams

const raceEnabled = true
