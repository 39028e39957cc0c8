package certfile

import (
	"os"
	"path/filepath"
	"strings"
)

// Files names a certificate's file and its key's; Key is "" if the first holds
// both.
type Files struct{ Cert, Key string }

// An Entry is a directory entry.
type Entry struct {
	Name string
	Dir  bool // a directory, or a link to one
	Gone bool // a link that leads nowhere
}

// List returns what is in a directory, by name. Links are followed.
func List(dir string) ([]Entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, len(found))
	for i, e := range found {
		list[i] = Entry{Name: e.Name(), Dir: e.IsDir()}
		if e.Type()&os.ModeSymlink == 0 {
			continue // stat only links: there may be ten thousand entries
		}
		fi, err := os.Stat(filepath.Join(dir, e.Name()))
		list[i].Dir, list[i].Gone = err == nil && fi.IsDir(), err != nil
	}
	return list, nil
}

// List returns what is in a directory, by name. Errors are *Error.
func (l *Loader) List(dir string) ([]Entry, error) {
	list := List
	if l.ReadDir != nil {
		list = l.ReadDir
	}
	entries, err := list(dir)
	if err != nil {
		return nil, osError(dir, err)
	}
	return entries, nil
}

// Scan lists the certificates in a directory, by name: files that end in .pem,
// .crt, .cer, .der, .p12 or .pfx, each with its key in a file of the same name
// that ends in .key, or inside; and sub-directories as certbot
// (fullchain.pem, privkey.pem) and Kubernetes (tls.crt, tls.key) write them.
// Names that start with a dot are left out. Errors are *Error.
func (l *Loader) Scan(dir string) ([]Files, error) {
	entries, err := l.List(dir)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name] = true
	}
	var list []Files
	for _, e := range entries {
		path := filepath.Join(dir, e.Name)
		switch {
		case strings.HasPrefix(e.Name, "."):
			continue
		case e.Gone:
			return nil, osError(path, os.ErrNotExist)
		case e.Dir:
			sub, err := l.scanSub(path)
			if err != nil {
				return nil, err
			}
			list = append(list, sub...)
			continue
		}
		if !Served(e.Name) {
			continue
		}
		f := Files{Cert: path}
		if key := KeyName(e.Name); names[key] {
			f.Key = filepath.Join(dir, key)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, &Error{File: dir, Reason: "holds no certificate: no file that ends in .pem, .crt, .cer, .der, .p12 or .pfx, and no directory with fullchain.pem or tls.crt"}
	}
	return list, nil
}

// scanSub looks into a directory of the one that is scanned. One with other
// things in it is passed over; one that cannot be read, or with half a pair, is
// not, as a name would be served no more.
func (l *Loader) scanSub(dir string) ([]Files, error) {
	entries, err := l.List(dir)
	if err != nil {
		return nil, err
	}
	there := make(map[string]*Entry)
	for i := range entries {
		there[entries[i].Name] = &entries[i]
	}
	for _, f := range SubNames() {
		cert, key := there[f.Cert], there[f.Key]
		if cert == nil {
			continue
		}
		for name, e := range map[string]*Entry{f.Cert: cert, f.Key: key} {
			if e == nil || e.Gone {
				return nil, osError(filepath.Join(dir, name), os.ErrNotExist)
			}
		}
		return []Files{{filepath.Join(dir, f.Cert), filepath.Join(dir, f.Key)}}, nil
	}
	return nil, nil
}
