package pidfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"netserver/internal/place"
	"netserver/internal/proc"
)

// A File is a file that holds the process's number, locked as long as the
// process lives. Make one with Create.
type File struct {
	path string
	pid  int
	f    *os.File
	note string
}

const (
	// staleEmpty is how old an empty pid file is at least that a process left
	// which died between making and writing it; Net::Server's 864 s.
	staleEmpty = 864 * time.Second

	maxPidDigits = 10
)

// ErrRunning is wrapped by the error of a pid file whose process runs.
var ErrRunning = errors.New("the server is already running")

// Create makes the file at path, with mode 0644 less the umask, writes
// this process's number and a newline into it, and locks it.
//
// A file that is there is taken over if the process that it names does not
// run, or was started later than the file was written and so cannot be its
// author, or if it is empty and older than 864 seconds. It is an error if a
// server has it locked, if it names a process that runs, or holds anything else
// than a number; then nothing is changed. A lock that anybody may have who can
// read the file proves nothing: then what it says decides, and another file
// takes its place.
//
// For root, nobody else may be able to put another directory in the way of the
// path, or to have put the file there.
func Create(path string) (*File, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := place.Steady(abs); err != nil {
		return nil, fmt.Errorf("pid_file %s: %w", path, place.WithoutPath(err))
	}
	p := &File{path: abs, pid: os.Getpid()}
	for range 10 {
		again, err := p.create()
		if err != nil {
			p.release()
			return nil, fmt.Errorf("pid_file %s: %w", path, err)
		}
		if !again {
			return p, nil
		}
		p.release()
	}
	return nil, fmt.Errorf("pid_file %s: others keep replacing it", path)
}

// create makes one attempt; again tells that another process moved the file
// away in between.
func (p *File) create() (again bool, err error) {
	if p.f, err = place.OpenFile(p.path, os.O_RDWR|os.O_CREATE|openPidFlags, 0o644, place.Options{NoLink: true}); err != nil {
		return false, place.WithoutPath(err)
	}
	info, err := p.f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, errors.New("is not a regular file")
	}
	foreign := false // locked by somebody who is no server
	if err := lockFile(p.f); err != nil {
		if !isLocked(err) {
			return false, fmt.Errorf("lock it: %w", err)
		}
		switch lockHolder(p.f, info) {
		case heldByNone:
			return true, nil
		case heldByServer:
			pid, _ := p.read()
			return false, fmt.Errorf("%w as process %d, which has the file locked", ErrRunning, pid)
		}
		foreign = true
	}
	if now, err := os.Lstat(p.path); err != nil || !os.SameFile(now, info) {
		return true, nil
	}
	if err := p.judge(info); err != nil {
		return false, err
	}
	if foreign {
		return p.exchange(info)
	}
	return false, p.write()
}

// Who has the lock that is in the way.
const (
	heldByNone   = iota // it has just been given up
	heldByServer        // one who may write to the file, as nobody else may
	heldByReader        // perhaps anybody
)

// exchange puts a new file in the place of the one that info describes, which
// somebody keeps locked. The new one is locked before anybody may open it.
func (p *File) exchange(info os.FileInfo) (again bool, err error) {
	p.release()
	dir, name := filepath.Split(p.path)
	if p.f, err = os.CreateTemp(dir, "."+name+"-"); err != nil {
		return false, place.WithoutPath(err)
	}
	fresh := p.f.Name()
	defer os.Remove(fresh)
	if err := lockFile(p.f); err != nil {
		return false, fmt.Errorf("lock it: %w", err)
	}
	if err := p.write(); err != nil {
		return false, err
	}
	if err := p.f.Chmod(info.Mode().Perm() &^ 0o022); err != nil {
		return false, place.WithoutPath(err)
	}
	// Another server may do the same: the file that goes is the one that was
	// judged, and the new one is put where there is none.
	aside := fresh + ".old"
	if err := os.Rename(p.path, aside); err != nil {
		return errors.Is(err, os.ErrNotExist), place.WithoutPath(err)
	}
	defer os.Remove(aside)
	if old, err := os.Lstat(aside); err != nil || !os.SameFile(old, info) {
		os.Link(aside, p.path)
		return true, nil
	}
	if err := os.Link(fresh, p.path); err != nil {
		return true, nil
	}
	note := fmt.Sprintf("pid_file %s was locked by a process that is no server, as anybody can who may read it: another file is in its place", p.path)
	if p.note != "" {
		note = p.note + "; " + note
	}
	p.note = note
	return false, nil
}

// judge decides whether what the file holds may be replaced.
func (p *File) judge(info os.FileInfo) error {
	age := time.Since(info.ModTime())
	pid, err := p.read()
	switch {
	case info.Size() == 0 && (age < time.Second || age > staleEmpty):
		// Ours: made a moment ago, and nobody else has it locked.
		return nil
	case err != nil && info.Size() == 0:
		return fmt.Errorf("is empty, and too young to be taken for left over: another server may be starting; remove it if not")
	case err != nil:
		return err
	case pid == p.pid || !processRuns(pid):
		if pid != p.pid {
			p.note = fmt.Sprintf("pid_file %s was left by process %d, which does not run: taken over", p.path, pid)
		}
		return nil
	}
	if began, ok := proc.Began(pid); ok && began.After(info.ModTime().Add(2*time.Second)) {
		p.note = fmt.Sprintf("pid_file %s names process %d, which was started after the file was written: taken over", p.path, pid)
		return nil
	}
	return fmt.Errorf("%w as process %d, which the file names; if that is another program, remove the file", ErrRunning, pid)
}

// read returns the number at the file's beginning.
func (p *File) read() (int, error) {
	b := make([]byte, maxPidDigits)
	n, err := p.f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	b = b[:n]
	for i, c := range b {
		if c < '0' || c > '9' {
			b = b[:i]
			break
		}
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil || pid <= 0 {
		return 0, errors.New("holds no process number; remove the file if no server uses it")
	}
	return pid, nil
}

func (p *File) write() error {
	if err := p.f.Truncate(0); err != nil {
		return place.WithoutPath(err)
	}
	_, err := p.f.WriteAt([]byte(strconv.Itoa(p.pid)+"\n"), 0)
	return place.WithoutPath(err)
}

func (p *File) release() {
	if p.f != nil {
		p.f.Close()
		p.f = nil
	}
}

// Note returns a line for the log on what stood there before, or "".
func (p *File) Note() string { return p.note }

// Path returns the file's path, made absolute.
func (p *File) Path() string { return p.path }

// Remove removes the file if it is still this one and names this process, and
// unlocks it. If another file took its place, that is kept and no error. A nil
// File has nothing to remove.
func (p *File) Remove() error {
	if p == nil || p.f == nil {
		return nil
	}
	defer p.release()
	info, err := p.f.Stat()
	if err != nil {
		return fmt.Errorf("pid_file %s: %w", p.path, place.WithoutPath(err))
	}
	now, err := os.Lstat(p.path)
	if err != nil || !os.SameFile(info, now) {
		return nil
	}
	if pid, err := p.read(); err != nil || pid != p.pid {
		return nil
	}
	removeOpen(p)
	if err := os.Remove(p.path); err != nil {
		return fmt.Errorf("pid_file %s: %w", p.path, place.WithoutPath(err))
	}
	return nil
}
