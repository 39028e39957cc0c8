package files

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
)

// A Handler serves the files below a directory to GET and HEAD, with ranges,
// If-Modified-Since and the rest of http.ServeContent. Its fields must not change
// while it serves.
//
// A directory is served as its index.html; without one it is not found, unless
// Listings is set. Everything else than regular files and directories is not
// found either: devices and named pipes are not opened. A link is followed
// while it leads to something below Dir (os.Root), and not found otherwise. It
// names types by the file's extension or first bytes, and tells browsers not to
// guess (X-Content-Type-Options: nosniff).
type Handler struct {
	// Dir is the directory. It is opened once: a directory that takes its place
	// later is not seen.
	Dir string
	// Dotfiles serves names that begin with a dot too. Without it only
	// .well-known at the top is (RFC 8615), and what does not begin with a dot
	// below it.
	Dotfiles bool
	// Listings answers with the names in a directory that has no index.html: at
	// most 10,000 of them.
	Listings bool

	once sync.Once
	root *os.Root
	err  error
}

const (
	index      = "index.html"
	maxListing = 10000
)

// Open opens Dir, so that a mistake is found before the first request.
func (h *Handler) Open() error {
	h.once.Do(func() {
		if h.Dir == "" {
			h.err = errors.New("files: no directory: set Dir")
			return
		}
		if h.root, h.err = os.OpenRoot(h.Dir); h.err != nil {
			h.err = fmt.Errorf("files: %w", h.err)
		}
	})
	return h.err
}

// Close closes the directory. What is being served goes on.
func (h *Handler) Close() error {
	if h.Open() != nil {
		return nil
	}
	return h.root.Close()
}

// ServeHTTP answers with a file.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, ok := h.name(r.URL.Path)
	if !ok || h.Open() != nil {
		http.NotFound(w, r)
		return
	}
	info, err := h.root.Stat(name)
	if err != nil {
		refuse(w, r, err)
		return
	}
	slash := strings.HasSuffix(r.URL.Path, "/")
	switch {
	case info.IsDir() && !slash:
		redirect(w, r, path.Base(r.URL.Path)+"/")
	case info.IsDir():
		h.directory(w, r, name)
	case info.Mode().IsRegular() && !slash:
		h.file(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

// name returns the name below the directory that a path stands for.
func (h *Handler) name(p string) (name string, ok bool) {
	name = strings.TrimPrefix(path.Clean("/"+p), "/")
	if strings.ContainsAny(name, "\x00\\") {
		return "", false
	}
	for i, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") && !h.Dotfiles && !(i == 0 && part == ".well-known") {
			return "", false
		}
	}
	if name == "" {
		name = "."
	}
	return name, true
}

// file answers with a regular file.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string) {
	f, err := h.root.OpenFile(name, os.O_RDONLY|dontWait, 0)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r) // another file has taken its place
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
}

// directory answers with the index of a directory, or with what is in it.
func (h *Handler) directory(w http.ResponseWriter, r *http.Request, name string) {
	page := path.Join(name, index)
	info, err := h.root.Stat(page)
	switch {
	case err == nil && info.Mode().IsRegular():
		h.file(w, r, page)
	case h.Listings:
		h.list(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

// list answers with the names in a directory.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, name string) {
	d, err := h.root.Open(name)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer d.Close()
	entries, _ := d.ReadDir(maxListing)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	fmt.Fprint(w, "<!doctype html>\n<title>", html.EscapeString(r.URL.Path), "</title>\n<pre>\n")
	for _, e := range entries {
		n := e.Name()
		if strings.HasPrefix(n, ".") && !h.Dotfiles {
			continue
		}
		if e.IsDir() {
			n += "/"
		}
		u := url.URL{Path: "./" + n}
		fmt.Fprintf(w, "<a href=%q>%s</a>\n", u.String(), html.EscapeString(n))
	}
	fmt.Fprint(w, "</pre>\n")
}

// redirect sends the client to a name beside the one that it asked for.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	u := url.URL{Path: "./" + to, RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", u.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

// refuse answers a request for what cannot be opened. A link that leads out of
// the directory is not told from what is not there.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fs.ErrPermission) {
		http.Error(w, "403 forbidden", http.StatusForbidden)
		return
	}
	http.NotFound(w, r)
}
