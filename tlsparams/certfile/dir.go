package certfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files names a certificate's file and its key's; Key is "" if the first holds
// both.
type Files struct{ Cert, Key string }

// Scan lists the certificates in a directory, by name: files that end in .pem,
// .crt, .cer, .der, .p12 or .pfx, each with its key in a file of the same name
// that ends in .key, or inside; and sub-directories as certbot
// (fullchain.pem, privkey.pem) and Kubernetes (tls.crt, tls.key) write them.
// Names that start with a dot are left out. Errors are *Error.
func Scan(dir string) ([]Files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, osError(dir, err)
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	var list []Files
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		isDir, err := isDirectory(path, e)
		if err != nil {
			return nil, osError(path, err)
		}
		if isDir {
			list = append(list, scanSub(path)...)
			continue
		}
		ext := filepath.Ext(name)
		if !slices.Contains([]string{".pem", ".crt", ".cer", ".der", ".p12", ".pfx"}, strings.ToLower(ext)) {
			continue
		}
		f := Files{Cert: path}
		if key := strings.TrimSuffix(name, ext) + ".key"; names[key] {
			f.Key = filepath.Join(dir, key)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		return nil, &Error{File: dir, Reason: "holds no certificate: no file that ends in .pem, .crt, .cer, .der, .p12 or .pfx, and no directory with fullchain.pem or tls.crt"}
	}
	return list, nil
}

func scanSub(dir string) []Files {
	for _, f := range []Files{{"fullchain.pem", "privkey.pem"}, {"tls.crt", "tls.key"}} {
		c, k := filepath.Join(dir, f.Cert), filepath.Join(dir, f.Key)
		if exists(c) && exists(k) {
			return []Files{{c, k}}
		}
	}
	return nil
}

// isDirectory follows symbolic links, and asks the system only about those:
// there may be ten thousand entries.
func isDirectory(path string, e os.DirEntry) (bool, error) {
	if e.Type()&os.ModeSymlink == 0 {
		return e.IsDir(), nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return fi.IsDir(), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
