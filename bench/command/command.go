package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"netserver/bench/peers"
)

// Main calls run with this process's arguments and a context that ends with
// SIGINT or SIGTERM. An error ends the process with exit status 1 and a line that
// begins with the program's name, without the line if it is the exit status of
// another process, which has said why itself. A wish for help is no error.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var ended *exec.ExitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.As(err, &ended):
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	os.Exit(1)
}

// Flags returns an empty set of flags whose help is usage and then the flags.
func Flags(name, usage string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	return fs
}

// Parse has fs read args, of which all must be flags.
func Parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}

// Inside returns an error if the flag's value is below low or above high.
func Inside(flag string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("-%s %d: must be from %d to %d", flag, value, low, high)
	}
	return nil
}

// Names returns the names of a list with commas or blanks between them.
func Names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// A Workspace is a directory for one run.
type Workspace struct {
	Dir    string
	Binary string // the netserver program
}

// NewWorkspace makes one, which the caller must Remove, and builds netserver in it
// unless binary names a program that is there.
func NewWorkspace(ctx context.Context, name, binary string, progress io.Writer) (*Workspace, error) {
	dir, err := os.MkdirTemp("", "netserver-"+name)
	if err != nil {
		return nil, err
	}
	w := &Workspace{dir, binary}
	if err := w.fill(ctx, progress); err != nil {
		w.Remove()
		return nil, err
	}
	return w, nil
}

func (w *Workspace) fill(ctx context.Context, progress io.Writer) error {
	// Serving processes of root are somebody else, who has to come in.
	if err := os.Chmod(w.Dir, 0o755); err != nil || w.Binary != "" {
		return err
	}
	fmt.Fprintln(progress, "building netserver")
	w.Binary = filepath.Join(w.Dir, "built")
	return peers.Build(ctx, "cmd/netserver", w.Binary)
}

// Remove removes the directory.
func (w *Workspace) Remove() { os.RemoveAll(w.Dir) }
