// Package park keeps clients that wait with no goroutine: a Lot knows what wakes
// each of them, its socket, a deadline or a call, and a Crew goes on with those
// that wake, on few goroutines. Of this module it imports internal/poll. Start
// with Spot.
package park
