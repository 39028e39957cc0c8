// Package events is a Handler for servers that are driven by events: functions
// are called when a client comes, sends something, ends or has been silent, one
// at a time, so that what they share needs no locks. A client that waits has no
// goroutine and no buffer. It takes the place of Net::Server's Multiplex. Of this
// module it imports the root package and proto. Start with Handler.
package events
