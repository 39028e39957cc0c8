// Package honest is a load of well-behaved clients, and what they felt.
//
// Open loop: clients come at fixed times, whatever became of those before
// them, and each one's latency counts from the time at which it should have
// come. A server that stops for a second is thereby seen to delay everyone who
// would have come in that second, not one client (no coordinated omission). A
// client that failed counts as one that waited for the whole time limit.
//
// Of this module it imports bench/loopback. Start reading at Run (open.go);
// closed.go has the loads that go as fast as the server answers.
package honest
