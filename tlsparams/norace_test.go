//go:build !race

package tlsparams

const raceEnabled = false
