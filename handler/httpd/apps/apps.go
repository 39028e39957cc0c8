// Package apps chooses by a request's path which of several handlers answers it:
// the table of Net::Server::HTTP, with its order.
//
// A path of the table fits a request whose path begins with it and goes on with
// a slash or ends there. The first path that fits counts, in the order in which
// they were added. What fitted becomes SCRIPT_NAME (cgi.State), and the rest,
// decoded, PATH_INFO.
//
// Of this module it imports handler/httpd/cgi. Start reading at Table.
package apps

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"netserver/handler/httpd/cgi"
)

// A Table is a list of paths and their handlers. The zero Table is empty. Add
// and Close may not be called while it serves.
type Table struct {
	entries []Entry
}

// An Entry is a row of a Table.
type Entry struct {
	Path    string // as requests are compared with it
	Handler http.Handler
}

// Path returns a path as a Table has it: with one slash in front, and without
// what it would be only a longer way to say.
func Path(path string) string {
	path = "/" + path
	path = hereSegment.ReplaceAllString(path, "/")
	path = upSegment.ReplaceAllString(path, "/")
	return slashes.ReplaceAllString(path, "/")
}

var (
	hereSegment = regexp.MustCompile(`/\./`)
	upSegment   = regexp.MustCompile(`(?:/[^/]+|)/\.\./`)
	slashes     = regexp.MustCompile(`//+`)
)

// Split takes a row that is written as one text apart: PATH TARGET, PATH=TARGET,
// or a TARGET that is its own path.
func Split(text string) (path, target string) {
	text = strings.TrimSpace(text)
	if m := blankPair.FindStringSubmatch(text); m != nil {
		return m[1], m[2]
	}
	if m := equalPair.FindStringSubmatch(text); m != nil {
		return m[1], m[2]
	}
	return text, text
}

var (
	blankPair = regexp.MustCompile(`^(.+?)\s+(.+)$`)
	equalPair = regexp.MustCompile(`^(.+?)=(.+)$`)
)

// Add adds a path, which Path has made. It reports false if the table has it
// already; then nothing changes.
func (t *Table) Add(path string, h http.Handler) bool {
	if t.has(path) {
		return false
	}
	t.entries = append(t.entries, Entry{path, h})
	return true
}

func (t *Table) has(path string) bool {
	for _, e := range t.entries {
		if e.Path == path {
			return true
		}
	}
	return false
}

// Close has the first entry serve "/" as well, if no other does. It reports
// whether that was so.
func (t *Table) Close() bool {
	if len(t.entries) == 0 || t.has("/") {
		return false
	}
	return t.Add("/", t.entries[0].Handler)
}

// Entries returns the rows in their order.
func (t *Table) Entries() []Entry { return t.entries }

// ServeHTTP passes a request on.
func (t *Table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := cgi.PathOf(r)
	for _, e := range t.entries {
		rest, ok := strings.CutPrefix(path, e.Path)
		if !ok || rest != "" && rest[0] != '/' && !strings.HasSuffix(e.Path, "/") {
			continue
		}
		if rest != "" {
			if rest[0] != '/' {
				rest = "/" + rest
			}
			rest = decoded(rest)
		}
		r, state := cgi.WithState(r)
		state.SetScript(e.Path, rest)
		e.Handler.ServeHTTP(w, r)
		return
	}
	cgi.ErrorPage(w, http.StatusNotFound, "Dispatch not found\n")
}

// decoded decodes %XX, and leaves what is none.
func decoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if text, err := url.PathUnescape(s); err == nil {
		return text
	}
	return escaped.ReplaceAllStringFunc(s, func(x string) string {
		text, err := url.PathUnescape(x)
		if err != nil {
			return x
		}
		return text
	})
}

var escaped = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
