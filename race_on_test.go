//go:build race

package netserver_test

const raceOn = true
