// Package logging opens the log of a server's processes: standard error, a
// file that is opened again when it was moved, or syslog. Nothing that logs
// waits for a disk, a pipe's reader or a syslog daemon.
//
// It may import logs and what the process needs of the system; it knows no
// configuration of a daemon, which fills a Config. Start reading at Config.Open
// in log.go; file.go follows a rotated file, syslog.go reaches the daemon, and
// say.go has the words that all processes use.
package logging
