package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
	"netserver/tlsparams"
)

// readDir is readFile for a directory.
func (w *worker) readDir(dir string) ([]tlsparams.Entry, error) {
	m, err := w.ask(wire.Message{Op: wire.OpRead, Path: dir, Dir: true})
	switch {
	case errors.Is(err, errAlone) || err == nil && m.Failed == wire.ReadItself:
		return tlsparams.ReadDir(dir)
	case err != nil:
		return nil, err
	}
	if err := wire.FileError(dir, m.Failed); err != nil {
		return nil, err
	}
	var list []tlsparams.Entry
	return list, json.Unmarshal(m.Data, &list)
}

// expect makes room for an answer of the supervisor's.
func (w *worker) expect(answer chan wire.Message) (id uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return 0, false
	}
	w.lastID++
	w.answers[w.lastID] = answer
	return w.lastID, true
}

// forget gives up waiting for an answer.
func (w *worker) forget(id uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.answers, id)
}

func (w *worker) take(m wire.Message) {
	if m.Op != wire.OpData {
		w.commands <- m
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.answers[m.ID]
	delete(w.answers, m.ID)
	if c != nil {
		c <- m
	}
}

// unanswered ends all waiting for answers.
func (w *worker) unanswered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	for id, c := range w.answers {
		c <- wire.Message{Failed: "the supervisor is gone"}
		delete(w.answers, id)
	}
}

// readTime bounds the wait for a file's content.
const readTime = 30 * time.Second

// readFile reads a file that TLS parameters name. The supervisor may read what
// this process may not; what it refuses because this process could have put it
// there, is read here.
func (w *worker) readFile(path string) ([]byte, error) {
	m, err := w.ask(wire.Message{Op: wire.OpRead, Path: path, Fresh: w.started.Load()})
	switch {
	case errors.Is(err, errAlone) || err == nil && m.Failed == wire.ReadItself:
		return readRegular(path)
	case errors.Is(err, errSilent):
		return nil, wire.FileError(path, err.Error())
	case err != nil:
		return nil, err
	}
	if reason, ok := strings.CutPrefix(m.Failed, wire.Unusable); ok {
		return nil, &certfile.Error{File: path, Reason: reason}
	}
	return m.Data, wire.FileError(path, m.Failed)
}

var (
	errAlone  = errors.New("the supervisor is gone")
	errSilent = errors.New("the supervisor does not answer")
)

// ask sends a message that the supervisor answers, and waits for that.
func (w *worker) ask(m wire.Message) (wire.Message, error) {
	answer := make(chan wire.Message, 1)
	id, ok := w.expect(answer)
	if !ok {
		return wire.Message{}, errAlone
	}
	m.ID = id
	if err := wire.Send(w.link, m); err != nil {
		return wire.Message{}, err
	}
	t := time.NewTimer(readTime)
	defer t.Stop()
	select {
	case m := <-answer:
		return m, nil
	case <-t.C:
		w.forget(id)
		return wire.Message{}, errSilent
	}
}

// maxFile is the largest file that is read for a worker.
const maxFile = 64 << 20

// readRegular reads a regular file. A named pipe could take its place at any
// moment, and is opened without waiting for its writer.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, err
}
