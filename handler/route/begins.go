package route

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxFirst is how many bytes conditions look at; a regular expression that has
// not matched by then, or by the end of the first line, does not hold.
const maxFirst = 1 << 10

// begins holds for clients who begin with one of several things.
type begins struct {
	texts []string
	forms []form
}

// A form is one thing that clients begin with.
type form struct {
	looks   func(b []byte) verdict // nil for silence
	silence time.Duration
	line    bool // an expression, which the first line decides
}

// Begins holds for clients whose first bytes are one of these: tls, http, ssh,
// postgres, proxy (a PROXY header), "silence=2s" (nothing within that time, as
// of clients that wait for a greeting), an expression between slashes that
// matches the first line or, without one, the first 1024 bytes, or any other
// text: that text, which "text=..." spells if it looks like one of the above.
func Begins(values ...string) (Condition, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("begins: it has no value")
	}
	c := &begins{texts: slices.Clone(values)}
	for _, v := range values {
		f, err := parseForm(v)
		if err != nil {
			return nil, fmt.Errorf("begins: %w", err)
		}
		c.forms = append(c.forms, f)
	}
	return c, nil
}

// maxSilence bounds how long a client may have to stay silent.
const maxSilence = time.Minute

func parseForm(v string) (form, error) {
	if looks, ok := protocols()[v]; ok {
		return form{looks: looks}, nil
	}
	if text, ok := strings.CutPrefix(v, "silence="); ok {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxSilence {
			return form{}, fmt.Errorf("%q: write the time as in silence=2s, at most %v", v, maxSilence)
		}
		return form{silence: d}, nil
	}
	if len(v) > 1 && v[0] == '/' && v[len(v)-1] == '/' {
		p, err := parsePattern(v)
		if err != nil {
			return form{}, err
		}
		return form{looks: func(b []byte) verdict { return looksLike(p.expr, b) }, line: true}, nil
	}
	text := strings.TrimPrefix(v, "text=")
	if text == "" || len(text) > maxFirst {
		return form{}, fmt.Errorf("a text has 1 to %d bytes, and this one %d", maxFirst, len(text))
	}
	return form{looks: func(b []byte) verdict { return prefix(b, text) }}, nil
}

// protocols are what clients are known by.
func protocols() map[string]func([]byte) verdict {
	return map[string]func([]byte) verdict{
		"tls": func(b []byte) verdict {
			// A record of handshake, version 3.x, of some length, with a hello.
			return bytewise(b, is(22), is(3), below(5), anything, anything, is(1))
		},
		"http": func(b []byte) verdict { return anyPrefix(b, methods) },
		"ssh":  func(b []byte) verdict { return prefix(b, "SSH-") },
		// What a client asks for TLS or GSS with, cancels with, or begins with
		// (protocol 3.0 and 3.2), after a length.
		"postgres": func(b []byte) verdict {
			return either(
				anyPrefix(b, []string{"\x00\x00\x00\x08\x04\xd2\x16\x2f", "\x00\x00\x00\x08\x04\xd2\x16\x30", "\x00\x00\x00\x10\x04\xd2\x16\x2e"}),
				bytewise(b, is(0), is(0), anything, anything, is(0), is(3), is(0), below(3)))
		},
		"proxy": func(b []byte) verdict { return anyPrefix(b, proxyHeads) },
	}
}

var proxyHeads = []string{"PROXY ", "\r\n\r\n\x00\r\nQUIT\n"}

var methods = []string{
	"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
	"PROPFIND ", "PROPPATCH ", "MKCOL ", "COPY ", "MOVE ", "LOCK ", "UNLOCK ", "REPORT ", "PRI * HTTP/2.0\r\n",
}

func is(want byte) func(byte) bool { return func(b byte) bool { return b == want } }
func below(n byte) func(byte) bool { return func(b byte) bool { return b < n } }
func anything(byte) bool           { return true }

// bytewise says whether b begins with bytes that pass the tests.
func bytewise(b []byte, tests ...func(byte) bool) verdict {
	for i, ok := range tests {
		switch {
		case i >= len(b):
			return More
		case !ok(b[i]):
			return No
		}
	}
	return Yes
}

func prefix(b []byte, text string) verdict {
	switch n := min(len(b), len(text)); {
	case string(b[:n]) != text[:n]:
		return No
	case n == len(text):
		return Yes
	}
	return More
}

func anyPrefix(b []byte, texts []string) verdict {
	v := No
	for _, t := range texts {
		v = either(v, prefix(b, t))
	}
	return v
}

// either is Yes if one is, and More if one may be.
func either(a, b verdict) verdict {
	if a == Yes || b == Yes {
		return Yes
	}
	return max(a, b)
}

func looksLike(expr *regexp.Regexp, b []byte) verdict {
	end := bytes.IndexByte(b, '\n')
	if end >= 0 {
		b = b[:end]
	}
	switch {
	case expr.Match(b):
		return Yes
	case end >= 0 || len(b) >= maxFirst:
		return No
	}
	return More
}

func (c *begins) String() string { return written(kindBegins, c.texts) }
func (c *begins) kind() kind     { return kindBegins }

func (c *begins) holds(f *Facts) verdict {
	if !f.Plain && !f.Decrypted && !f.Datagram {
		return More // what comes after the handshake is not known
	}
	v := No
	for i := range c.forms {
		v = either(v, c.forms[i].holds(f))
	}
	return v
}

func (m *form) holds(f *Facts) verdict {
	switch {
	case m.looks != nil && len(f.First) == 0 && f.Ended:
		return No
	case m.looks != nil:
		v := m.looks(f.First[:min(len(f.First), maxFirst)])
		if v == More && (f.Ended || len(f.First) >= maxFirst) {
			return No
		}
		return v
	case len(f.First) > 0 || f.Ended:
		return No
	case f.Waited >= m.silence:
		return Yes
	}
	return More
}

// forms returns what the clients of a route may begin with.
func (r *Route) forms() []form {
	for _, c := range r.When {
		if b, ok := c.(*begins); ok {
			return b.forms
		}
	}
	return nil
}

// isSilent reports whether a route is for clients who have been silent for as
// long as this one.
func (r *Route) isSilent(f *Facts) bool {
	return len(f.First) == 0 && !f.Ended && slices.ContainsFunc(r.forms(), func(m form) bool { return m.silence > 0 && f.Waited >= m.silence })
}
