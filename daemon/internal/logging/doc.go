// Package logging opens the log of a server's processes: standard error, a
// file that is opened again when it was moved, or syslog. Nothing that logs
// waits for a disk, a pipe's reader or a syslog daemon.
//
// It may import logs, wire and what the process needs of the system; it knows no
// configuration of a daemon, which fills a Config. Start reading at Config.Open
// in log.go; file.go follows a rotated file, and syslog.go reaches the daemon.
// collect.go takes what a supervisor's processes write, and records.go says
// what of it may go into the log. say.go has what every process logs with.
package logging
