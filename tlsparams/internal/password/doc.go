// Package password gets the password of an encrypted key: from the first line of
// a file, or from a command that it runs, with a bound on its time and output.
//
// It imports nothing of this module. Start reading at Run (password.go).
package password
