// Package daemon makes a program of a Server: it reads the configuration from
// the command line, the environment and files, opens the ports, logs, and
// obeys signals. The command netserver is its first user.
package daemon
