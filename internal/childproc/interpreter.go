package childproc

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
)

// InterpreterOf returns the file that the system executes to run the program in
// f: what a script's first line names, or what loads its shared libraries. It is
// "" if there is none, or none is known.
func InterpreterOf(f io.ReaderAt) (name string, script bool) {
	head := make([]byte, 256)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false
	}
	if line, ok := bytes.CutPrefix(head[:n], []byte("#!")); ok {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] != '/' {
			return "", true
		}
		return string(words[0]), true
	}
	return loaderOf(f), false
}

// OwnLoader returns what loads the shared libraries of this process's program,
// "" for one that has none.
func OwnLoader() string {
	f, err := openOwn()
	if err != nil {
		return ""
	}
	defer f.Close()
	name, _ := InterpreterOf(f)
	return name
}

// maxLoader is how long the path of a loader may be.
const maxLoader = 4096

// loaderOf returns what an ELF program names as its loader.
func loaderOf(f io.ReaderAt) string {
	e, err := elf.NewFile(f)
	if err != nil {
		return ""
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > maxLoader {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return ""
		}
		if name := string(bytes.TrimRight(b, "\x00")); len(name) > 1 && name[0] == '/' {
			return name
		}
	}
	return ""
}
