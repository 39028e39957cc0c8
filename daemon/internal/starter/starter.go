package starter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Result is what Write has made.
type Result struct {
	Files []string // names in the directory
	Start []string // command lines that start what is tried, in this order
	Try   string   // the command line of a client
}

// Jobs are the jobs that Write knows, the default first, and what each is.
var Jobs = [...]struct{ Name, What string }{
	{"front", "TLS before a backend that has none"},
	{"program", "a program for each client"},
	{"mutual", "TLS for clients that show a certificate"},
	{"web", "files over HTTPS"},
}

// ErrJob is returned for a job that there is not.
var ErrJob = errors.New("there is no such job")

// Write makes the files of a job in a directory, which exists. It overwrites
// none: where one of them is there, it writes nothing.
func Write(dir, job string) (r Result, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return r, err
	}
	p, ok := plans()[job]
	if !ok {
		return r, ErrJob
	}
	files := []file{{name: ConfName, mode: 0o644, text: conf(dir, p)}}
	if p.tls {
		certs, err := certificates()
		if err != nil {
			return r, err
		}
		files = append(files, certs...)
	}
	files = append(files, p.files...)
	var there []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); err == nil {
			there = append(there, f.name)
		}
	}
	if len(there) > 0 {
		return r, fmt.Errorf("%s: nothing is overwritten, and there are already: %s; go to another directory", dir, strings.Join(there, ", "))
	}
	for i, f := range files {
		if err := f.write(dir); err != nil {
			for _, made := range files[:i] {
				os.Remove(filepath.Join(dir, made.name))
			}
			return r, err
		}
		r.Files = append(r.Files, f.name)
	}
	r.Start = append(p.before, "netserver --conf_file "+ConfName)
	r.Try = p.try
	return r, nil
}

// A file is one to be written.
type file struct {
	name string // slash-separated
	mode os.FileMode
	text []byte
}

// write makes the file, and the folder that it is in. It leaves no half of it.
func (f file) write(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.text)
	err = errors.Join(err, out.Sync(), out.Close())
	if err != nil {
		os.Remove(path)
	}
	return err
}
