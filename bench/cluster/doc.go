// Command cluster measures three netservers that share by a redis-server, behind
// HAProxy: whether sessions, bans and limits hold over all of them, what clients
// feel when the store or a node is killed, and what sharing costs. See -h.
//
// Start reading at main.go; site.go starts the programs, one file each has the
// measurements, report.go the verdict. The part faults has things fail at random
// (faults.go) and judges the history (history.go).
package main
