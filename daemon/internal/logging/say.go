package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"netserver/logs"
)

// Notice logs at the level of log_level 2.
func Notice(log *slog.Logger, msg string) {
	log.Log(context.Background(), logs.Notice, msg)
}

// Logged marks an error that has been logged.
type Logged struct{ error }

// Unwrap returns the error.
func (e Logged) Unwrap() error { return e.error }

// Error logs err, a line each of the errors that it joins, and returns it as
// one that has been logged.
func Error(log *slog.Logger, err error) error {
	for _, e := range Split(err) {
		log.Error(e.Error())
	}
	return Logged{err}
}

// AsLogged marks err as one that has been logged.
func AsLogged(err error) error { return Logged{err} }

// Split takes joined errors apart: those whose text has several lines.
func Split(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, Split(e)...)
	}
	return all
}

// PrintError prints problems to standard error, one on a line.
func PrintError(stderr io.Writer, err error) {
	prefix := journalPrefix(stderr, slog.LevelError)
	for _, e := range Split(err) {
		fmt.Fprintf(stderr, "%snetserver: %v\n", prefix, e)
	}
}

// PrintWarning prints a warning to standard error.
func PrintWarning(stderr io.Writer, err error) {
	fmt.Fprintf(stderr, "%snetserver: warning: %v\n", journalPrefix(stderr, slog.LevelWarn), err)
}
