package exec

import (
	"os"

	"netserver/internal/childproc/program"
	"netserver/internal/descriptors"
)

// pipes are our ends of a program's descriptors.
type pipes struct {
	stdin  *os.File
	stdout *program.Outlet
	stderr *program.Outlet // nil unless it goes to the log
}

// openPipes makes the pipes of one program, and returns the program's ends,
// which closeAll closes once it runs.
func openPipes(to Stderr) (ours pipes, theirs [3]*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(theirs[:]...)
			ours.close()
		}
	}()
	if theirs[0], ours.stdin, err = program.OpenInlet(); err != nil {
		return ours, theirs, err
	}
	if ours.stdout, theirs[1], err = program.OpenOutlet(); err != nil {
		return ours, theirs, err
	}
	ours.stderr, theirs[2], err = openStderr(to, theirs[1])
	return ours, theirs, err
}

// openStderr returns a program's standard error, and our end of it if it goes
// to the log. out is the program's standard output.
func openStderr(to Stderr, out *os.File) (ours *program.Outlet, theirs *os.File, err error) {
	switch to {
	case StderrClient:
		return nil, out, nil
	case StderrDrop:
		theirs, err = descriptors.Null()
		return nil, theirs, err
	case StderrInherit:
		return nil, os.Stderr, nil
	default:
		return program.OpenOutlet()
	}
}

func (p *pipes) close() {
	if p.stdin != nil {
		p.stdin.Close()
	}
	p.stdout.Close()
	p.stderr.Close()
}

// closeAll closes files, some of which may be nil or equal, except the
// server's own standard error.
func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil && f != os.Stderr {
			f.Close()
		}
	}
}
