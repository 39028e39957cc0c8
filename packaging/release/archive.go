package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// An entry is a file of an archive.
type entry struct {
	name string // slash-separated
	mode os.FileMode
	data []byte
}

// archive writes the program and what belongs to it as a .tar.gz, or a .zip for
// Windows.
func (p *product) archive() error {
	entries, err := p.entries()
	if err != nil {
		return err
	}
	if p.goos == "windows" {
		return p.create(p.name()+".zip", func(w io.Writer) error { return p.zip(w, entries) })
	}
	return p.create(p.name()+".tar.gz", func(w io.Writer) error { return p.tar(w, entries) })
}

// entries returns what an archive has, by name.
func (p *product) entries() ([]entry, error) {
	program, err := os.ReadFile(p.program)
	if err != nil {
		return nil, err
	}
	entries := []entry{
		{p.executable(), 0o755, program},
		{"netserver.cdx.json", 0o644, p.sbom},
		{"THIRD-PARTY.txt", 0o644, p.notices},
	}
	files := map[string]string{ // patterns in the source tree, and the folder for what they name
		"LICENSE": ".", "README.md": ".", "CHANGELOG.md": ".", "SECURITY.md": ".",
		"docs/*.md": "docs", "docs/*.json": "docs", "docs/page/*.png": "docs/page", "docs/measurements/*": "docs/measurements",
		"packaging/examples/*": "examples", "packaging/netserver.8": "man", "packaging/completions/*": "completions",
	}
	if p.goos == "linux" {
		files["packaging/*.service"], files["packaging/*.socket"] = "systemd", "systemd"
	}
	for pattern, folder := range files {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(found) == 0 {
			return nil, errors.Join(err, errors.New("no "+pattern))
		}
		for _, name := range found {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{path.Join(folder, filepath.Base(name)), 0o644, b})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	for i := range entries {
		entries[i].name = path.Join(p.name(), entries[i].name)
	}
	return entries, nil
}

func (p *product) tar(w io.Writer, entries []entry) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: p.Date, Uname: "root", Gname: "root", Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func (p *product) zip(w io.Writer, entries []entry) error {
	z := zip.NewWriter(w)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: p.Date}
		h.SetMode(e.mode)
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return z.Close()
}

// compressed is data as gzip -9n writes it.
func compressed(w io.Writer, data []byte) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = z.Write(data)
	return errors.Join(err, z.Close())
}
