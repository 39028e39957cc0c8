package cgi

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An answer is what a program writes, on its way to the client: headers to the
// first empty line, then the body.
type answer struct {
	h *Handler
	w http.ResponseWriter

	last func() bool // whether it has to be the last answer of its connection; nil: no

	sent atomic.Bool // the headers go to the client

	mu      sync.Mutex
	head    []byte // the start of the headers, while they are not whole
	any     bool   // the program has written something
	discard bool   // the status has no body
	dirty   bool   // bytes may wait in w
	flush   *time.Timer
	ended   bool
}

// flushDelay is how long bytes may wait for further ones before they are sent
// on. A program that ends sooner gets a Content-Length.
const flushDelay = 5 * time.Millisecond

// An errHeaders says what is wrong with a program's headers, for the page.
type errHeaders struct{ detail string }

func (e *errHeaders) Error() string { return strings.TrimSpace(e.detail) }

const premature = "Premature end of script headers"

// write takes the next bytes of the program.
func (a *answer) write(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.any = a.any || len(b) > 0
	if !a.sent.Load() {
		rest, err := a.readHead(b)
		if err != nil || !a.sent.Load() {
			return err
		}
		b = rest
	}
	if len(b) == 0 || a.discard {
		return nil
	}
	if _, err := a.w.Write(b); err != nil {
		return err
	}
	a.later()
	return nil
}

// later sends what waits, a moment later.
func (a *answer) later() {
	if a.dirty || a.ended {
		return
	}
	a.dirty = true
	if a.flush == nil {
		a.flush = time.AfterFunc(flushDelay, a.flushNow)
	} else {
		a.flush.Reset(flushDelay)
	}
}

func (a *answer) flushNow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dirty && !a.ended {
		a.dirty = false
		http.NewResponseController(a.w).Flush()
	}
}

// end says that nothing uses w any more.
func (a *answer) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.flush != nil {
		a.flush.Stop()
	}
}

// readHead takes bytes of the headers, and returns those that follow them once
// they are whole.
func (a *answer) readHead(b []byte) (rest []byte, err error) {
	from := max(len(a.head)-2, 0)
	a.head = append(a.head, b...)
	end, size := headEnd(a.head, from)
	if end < 0 && len(a.head) > a.h.maxHeader() || end > a.h.maxHeader() {
		return nil, &errHeaders{fmt.Sprintf("%s: longer than %d bytes", premature, a.h.maxHeader())}
	}
	if end < 0 {
		return nil, nil
	}
	rest = a.head[end+size:]
	head := a.head[:end]
	a.head = nil
	hd, err := parseHead(head)
	if err != nil {
		return nil, err
	}
	return rest, a.send(hd)
}

// unfinished says what is wrong with headers after which the program ended.
func (a *answer) unfinished() error {
	if a.sent.Load() || len(a.head) == 0 {
		return nil
	}
	_, err := parseHead(a.head)
	return err
}

// headEnd finds the empty line, LF or CRLF: where it begins and how long it is
// with its end. A program may begin with it.
func headEnd(b []byte, from int) (at, size int) {
	if len(b) > 0 && b[0] == '\n' {
		return 0, 1
	}
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 0, 2
	}
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1, 0
		}
		from += i + 1
		switch {
		case from < len(b) && b[from] == '\n':
			return from, 1
		case from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n':
			return from, 2
		}
	}
}

// A head is what a program says before the body.
type head struct {
	status int
	fields [][2]string
}

var (
	firstLine  = regexp.MustCompile(`^HTTP/1\.[01]\s+(\d+)(?:\s+.+?)?\s*$`)
	fieldLine  = regexp.MustCompile(`^(\w+(?:-\w+)*):\s*`)
	statusLine = regexp.MustCompile(`^(\d+)(?:\s+.+?)?$`)
)

// maxShown bounds what of a wrong line a page shows.
const maxShown = 120

// parseHead reads the lines of a head as Net::Server::HTTP does.
func parseHead(b []byte) (*head, error) {
	h := new(head)
	if len(b) == 0 {
		return nil, &errHeaders{premature + "\n"}
	}
	var status string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if m := firstLine.FindStringSubmatch(line); m != nil {
			if len(h.fields) > 0 {
				return nil, &errHeaders{"Found HTTP/ line after other headers were sent\n"}
			}
			status = m[1]
			continue
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil || !isFieldValue(line[len(m[0]):]) {
			return nil, &errHeaders{fmt.Sprintf("%s: %s...\n", premature, shown(line))}
		}
		name, value := m[1], line[len(m[0]):]
		if strings.EqualFold(name, "Status") && status == "" {
			if m := statusLine.FindStringSubmatch(value); m != nil {
				status = m[1]
			}
		}
		h.fields = append(h.fields, [2]string{http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")), value})
	}
	return h, h.setStatus(status)
}

// setStatus sets the status that was given, or the one that the headers mean.
func (h *head) setStatus(given string) error {
	if given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 200 || n > 999 {
			return &errHeaders{fmt.Sprintf("%s: status %s...\n", premature, shown(given))}
		}
		h.status = n
		return nil
	}
	h.status = http.StatusInternalServerError
	for _, f := range h.fields {
		switch f[0] {
		case "Content-Type":
			h.status = http.StatusOK
			return nil
		case "Location":
			h.status = http.StatusFound
			return nil
		}
	}
	return nil
}

func shown(line string) string { return line[:min(len(line), maxShown)] }

// isFieldValue reports whether a client can get a header's value as it is.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// send sends the headers to the client.
func (a *answer) send(hd *head) error {
	header := a.w.Header()
	set := make(map[string]bool)
	for _, f := range hd.fields {
		switch name := f[0]; name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade":
			continue // they are between the client and this server
		default:
			if !set[name] {
				header.Del(name) // the server's own
				set[name] = true
			}
			header.Add(name, f[1])
		}
	}
	a.discard = hd.status == http.StatusNoContent || hd.status == http.StatusNotModified
	switch {
	case a.discard && !a.h.TypeOnAllStatuses:
		header.Del("Content-Type")
	case header.Get("Content-Type") == "":
		header.Set("Content-Type", a.h.contentType())
	}
	if a.discard {
		header.Del("Content-Length")
	}
	if a.last != nil && a.last() {
		header.Set("Connection", "close")
	}
	a.sent.Store(true)
	a.w.WriteHeader(hd.status)
	a.later()
	return nil
}
