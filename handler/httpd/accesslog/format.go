package accesslog

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/handler/httpd/cgi"
)

// Combined is the default format.
const Combined = `%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"`

// A Format is what a line is made of. It does not change.
type Format struct {
	items []item
	json  bool // objects, of which items are nothing
}

// An item is a text, or a directive.
type item struct {
	text     string
	letter   byte   // 0 for a text
	statuses string // for which it is written; "" is all
	not      bool   // for all but these
	arg      string
}

var directive = regexp.MustCompile(`%[<>]?(!?\d\d\d(?:,\d\d\d)*)?(?:\{([^}]+)\})?([aABDfhHmpqrsTuUvVblPtIOCeinoX%])`)

// maxFormat bounds a format, in bytes.
const maxFormat = 8 << 10

// JSON is the format that is an object a line, with unique keys in ASCII: event
// (request), time, client, peer, name, scheme, method, uri, proto, status, bytes,
// duration_ms, vhost, referer and user_agent; what is empty is not there.
const JSON = "json"

// Parse reads a format: JSON, or text in which \\ \" \n and \t stand for what they do in C.
func Parse(text string) (*Format, error) {
	if len(text) > maxFormat {
		return nil, fmt.Errorf("a format of %d bytes is too long: it may have %d", len(text), maxFormat)
	}
	if text == JSON {
		return &Format{json: true}, nil
	}
	text = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\t`, "\t").Replace(text)
	f := new(Format)
	at := 0
	for _, m := range directive.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > at {
			f.items = append(f.items, item{text: text[at:m[0]]})
		}
		part := func(i int) string {
			if m[i] < 0 {
				return ""
			}
			return text[m[i]:m[i+1]]
		}
		d := item{letter: text[m[6]], arg: part(4)}
		d.statuses, d.not = strings.CutPrefix(part(2), "!")
		if d.letter == '%' && d.statuses == "" {
			d = item{text: "%"}
		}
		f.items = append(f.items, d)
		at = m[1]
	}
	if at < len(text) {
		f.items = append(f.items, item{text: text[at:]})
	}
	return f, nil
}

// An entry is what a line is about.
type entry struct {
	r      *http.Request   // nil if there was none that could be read
	c      *netserver.Conn // whose it was, then
	origin *cgi.Origin
	begin  time.Time
	took   time.Duration
	status int
	size   int64 // of the body
	head   int64 // of the answer before it
	header http.Header
	sent   bool
}

// Bounds of a line, and of each value in it as it is written: what a client sends
// must neither fill a disk nor push what follows out of a line.
const (
	maxLine  = 32 << 10
	maxValue = 8 << 10
	cutMark  = "..."
)

// append adds the line of an entry, without its end.
func (f *Format) append(b []byte, e *entry) []byte {
	if f.json {
		return appendJSON(b, e)
	}
	begin := len(b)
	for i := range f.items {
		if len(b)-begin > maxLine {
			return append(b[:begin+maxLine], cutMark...)
		}
		d := &f.items[i]
		if d.letter == 0 {
			b = append(b, d.text...)
			continue
		}
		v := "-"
		if d.statuses == "" || strings.Contains(d.statuses, strconv.Itoa(e.status)) != d.not {
			v = e.value(d)
		}
		if v == "" {
			v = "-"
		}
		b = appendEscaped(b, v)
	}
	return b
}

// appendEscaped adds a value so that it cannot end its field.
func appendEscaped(b []byte, v string) []byte {
	begin := len(b)
	for i := range len(v) {
		if len(b)-begin >= maxValue {
			return append(b, cutMark...)
		}
		c := v[i]
		switch {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c > '~' || c == '"' || c == '\\':
			b = fmt.Appendf(b, `\x%02X`, c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// value returns the value of a directive.
func (e *entry) value(d *item) string {
	switch d.letter {
	case '%':
		return "%"
	case 'b':
		if e.size == 0 {
			return ""
		}
		return strconv.FormatInt(e.size, 10)
	case 'B':
		return strconv.FormatInt(e.size, 10)
	case 'D':
		return strconv.FormatInt(e.took.Microseconds(), 10)
	case 'T':
		return strconv.FormatInt(int64(e.took/time.Second), 10)
	case 'O':
		return strconv.FormatInt(e.size+e.head, 10)
	case 'o':
		return strings.Join(e.header.Values(d.arg), ", ")
	case 'P':
		return strconv.Itoa(os.Getpid())
	case 's':
		if e.status != 0 {
			return strconv.Itoa(e.status)
		}
	case 't':
		if d.arg == "" {
			return e.begin.Format("[02/Jan/2006:15:04:05 -0700]")
		}
		return "[" + strftime(d.arg, e.begin) + "]"
	case 'X':
		if !e.sent {
			return "X"
		}
	case 'v', 'V':
		return e.host()
	case 'I':
		if e.r == nil {
			return "0"
		}
		return strconv.FormatInt(requestSize(e.r), 10)
	default:
		if e.r != nil {
			return e.ofRequest(d)
		}
		return ofClient(e.c, d)
	}
	return ""
}

// ofClient returns the value of a directive where there is no request.
func ofClient(c *netserver.Conn, d *item) string {
	var host string
	switch d.letter {
	case 'a':
		host, _ = cgi.AddrOf(c.RemoteAddr().String())
	case 'A':
		host, _ = cgi.AddrOf(c.LocalAddr().String())
	case 'h':
		return nameOf(c, c.RemoteAddr().String())
	case 'H':
		return scheme(c.TLS() != nil)
	case 'p':
		_, host = cgi.AddrOf(c.LocalAddr().String())
	}
	return host
}

// nameOf is the name of a client, if it was looked up, or its address.
func nameOf(c *netserver.Conn, addr string) string {
	if c != nil && c.Peer().Host != "" {
		return c.Peer().Host
	}
	host, _ := cgi.AddrOf(addr)
	return host
}

func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}

// ofRequest returns the value of a directive that is about the request alone.
func (e *entry) ofRequest(d *item) string {
	r := e.r
	switch d.letter {
	case 'a':
		host, _ := cgi.AddrOf(r.RemoteAddr)
		return host
	case 'A':
		host, _ := cgi.LocalOf(r)
		return host
	case 'C':
		return cookie(r, d.arg)
	case 'e':
		return e.origin.Var(r, d.arg)
	case 'h':
		return nameOf(httpd.Conn(r.Context()), r.RemoteAddr)
	case 'H':
		return scheme(r.TLS != nil)
	case 'i':
		return requestHeader(r, d.arg)
	case 'm':
		return strings.ToUpper(r.Method)
	case 'n':
		return cgi.StateOf(r).Note(d.arg)
	case 'p':
		_, port := cgi.LocalOf(r)
		return port
	case 'q':
		if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
			return "?" + query
		}
	case 'r':
		return r.Method + " " + r.RequestURI + " " + r.Proto
	case 'U':
		return cgi.PathOf(r)
	}
	return ""
}

// host is what a client asked for, or where it came to.
func (e *entry) host() string {
	c := e.c
	if e.r != nil {
		if e.r.Host != "" {
			return e.r.Host
		}
		c = httpd.Conn(e.r.Context())
	}
	if c == nil {
		host, _ := cgi.LocalOf(e.r)
		return host
	}
	if host := c.Port().Host; host != "" && host != "*" {
		return host
	}
	host, _ := cgi.AddrOf(c.LocalAddr().String())
	return host
}

func requestHeader(r *http.Request, name string) string {
	if strings.EqualFold(name, "Host") {
		return r.Host
	}
	if strings.EqualFold(name, "Transfer-Encoding") {
		return strings.Join(r.TransferEncoding, ", ")
	}
	return strings.Join(r.Header.Values(name), ", ")
}

// cookie finds a cookie at the start of a Cookie header, with all that follows
// it there.
func cookie(r *http.Request, name string) string {
	var found []string
	for _, c := range r.Header["Cookie"] {
		if value, ok := strings.CutPrefix(c, name+"="); ok {
			found = append(found, value)
		}
	}
	return strings.Join(found, ", ")
}

// requestSize is how many bytes a request has: its head as HTTP/1.1 has it, and
// the body that it announces.
func requestSize(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n\r\n")
	if r.Host != "" {
		n += len("Host: \r\n") + len(r.Host)
	}
	for _, v := range r.TransferEncoding {
		n += len("Transfer-Encoding: \r\n") + len(v)
	}
	return int64(n) + headerSize(r.Header) + max(r.ContentLength, 0)
}

func headerSize(h http.Header) (n int64) {
	for name, values := range h {
		for _, v := range values {
			n += int64(len(name) + len(v) + len(": \r\n"))
		}
	}
	return n
}
