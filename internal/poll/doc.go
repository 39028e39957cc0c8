// Package poll tells which sockets of many have something, with no goroutine
// for each: epoll(7) on Linux. It imports nothing of this module. Start with
// Poller.
package poll
