package handout

import (
	"crypto/sha256"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"netserver/internal/certfile"
	"netserver/tlsparams"
	"netserver/tlsparams/internal/password"
)

// A Handout says what of the files that parameters name may be given to a
// process that may not read them itself, and has perhaps been taken over: no
// other files, of directories only what is looked for there, and of a file only
// what it is named for, written anew. Add says which parameters. Then it is
// safe for concurrent use.
type Handout struct {
	// NoKeys leaves out certificates with their keys, and passwords of keys:
	// Env.Pair gives what is needed of them.
	NoKeys bool

	files map[string]use
	dirs  map[string]use

	mu   sync.Mutex
	good map[string][32]byte // digests of files of lists that can be used
}

// maxGood bounds good. A list of many megabytes takes a while to parse.
const maxGood = 256

// A use is a set of what a file is named for. In a directory it is what is
// looked for there.
type use uint

const (
	asCert use = 1 << iota
	asKey
	asPassword
	asStaple
	asTicketKeys
	asAuthorities
	asLists
	asAllowList

	secretUses = asCert | asKey | asPassword
)

// Add allows what p names.
func (h *Handout) Add(p tlsparams.Params) {
	if h.files == nil {
		h.files, h.dirs = make(map[string]use), make(map[string]use)
	}
	note := func(m map[string]use, u use, paths ...string) {
		for _, path := range paths {
			if path != "" && path != tlsparams.ForceSelfSigned {
				m[filepath.Clean(path)] |= u
			}
		}
	}
	note(h.files, asCert, p.CertFile)
	note(h.files, asCert, slices.Collect(maps.Values(p.CertFiles))...)
	note(h.files, asKey, p.KeyFile)
	note(h.files, asKey, slices.Collect(maps.Values(p.KeyFiles))...)
	note(h.files, asPassword, p.PasswdFile)
	note(h.files, asStaple, p.StapleFile)
	note(h.files, asTicketKeys, p.TicketKeyFiles...)
	note(h.dirs, asCert, p.CertDir)
	for _, c := range append(slices.Collect(maps.Values(p.Clients)), p.Client) {
		note(h.files, asAuthorities, c.ClientCAFile)
		note(h.files, asAuthorities|asLists, c.CAFiles...)
		note(h.files, asLists, c.CRLFiles...)
		note(h.files, asAllowList, c.AllowFiles...)
		note(h.dirs, asAuthorities|asLists, c.CAPath...)
		note(h.dirs, asLists, c.CRLPath...)
	}
}

// Names reports whether the file may be given, as far as its name tells.
func (h *Handout) Names(path string) bool { return h.useOf(path) != 0 }

func (h *Handout) useOf(path string) use {
	path = filepath.Clean(path)
	u := h.files[path]
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	in := h.dirs[dir]
	if in&asCert != 0 && certfile.Served(name) {
		u |= asCert
	}
	if in&asCert != 0 && !hidden(name) && filepath.Ext(name) == ".key" {
		u |= asKey
	}
	if in&asAuthorities != 0 && certfile.AuthorityName(name) {
		u |= asAuthorities
	}
	if lists, _ := certfile.ListName(name); lists && in&asLists != 0 {
		u |= asLists
	}
	if !h.isSub(dir) {
		return u
	}
	for _, f := range certfile.SubNames() {
		switch name {
		case f.Cert:
			u |= asCert
		case f.Key:
			u |= asKey
		}
	}
	return u
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// isSub reports whether dir is, by its name, one in which Scan looks for a
// certificate.
func (h *Handout) isSub(dir string) bool {
	return h.dirs[filepath.Dir(dir)]&asCert != 0 && !hidden(filepath.Base(dir))
}

// Lists reports whether the names in a directory may be given.
func (h *Handout) Lists(dir string) bool {
	dir = filepath.Clean(dir)
	return h.dirs[dir] != 0 || h.isSub(dir)
}

// Entries returns what may be given of a directory: what is looked for there.
func (h *Handout) Entries(dir string, entries []tlsparams.Entry) []tlsparams.Entry {
	scanned := h.dirs[filepath.Clean(dir)]&asCert != 0
	return slices.DeleteFunc(slices.Clone(entries), func(e tlsparams.Entry) bool {
		wanted := h.useOf(filepath.Join(dir, e.Name)) != 0
		return !wanted && !(scanned && !hidden(e.Name) && (e.Dir || e.Gone))
	})
}

var (
	errNotNamed = errors.New("is not in the configuration")
	errWithheld = errors.New("holds a private key, or a password, which stays with the process that keeps the keys")
)

// File returns what may be given of a file with that content. The error, which
// tells nothing of the content, follows the file's name.
func (h *Handout) File(path string, data []byte) ([]byte, error) {
	u := h.useOf(path)
	if u == 0 {
		return nil, errNotNamed
	}
	if h.NoKeys && u&secretUses != 0 {
		if u &^= secretUses; u == 0 {
			return nil, errWithheld
		}
	}
	switch {
	case u&(asCert|asKey) != 0:
		return pairOnly(data)
	case u&(asAuthorities|asLists) != 0:
		return h.trustOnly(filepath.Clean(path), u, data)
	case u&asTicketKeys != 0:
		return ticketKeysOnly(data)
	case u&asStaple != 0:
		return stapleOnly(data)
	case u&asAllowList != 0:
		return allowListOnly(data)
	}
	word, err := password.FirstLine(data) // a password
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(word), '\n'), nil
}

// checked reports whether the same content was good before, in check's eyes or
// an earlier one's.
func (h *Handout) checked(path string, data []byte, check func() error) error {
	sum := sha256.Sum256(data)
	h.mu.Lock()
	known, ok := h.good[path]
	h.mu.Unlock()
	if ok && known == sum {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.good == nil || len(h.good) >= maxGood {
		h.good = make(map[string][32]byte)
	}
	h.good[path] = sum
	return nil
}
