// Package challenge answers certificate authorities that look by HTTP whether a
// name is ours: HTTP-01, RFC 8555, section 8.3.
//
// Of this module it imports handler/httpd and handler/httpd/redirect. Start
// reading at Answers.
package challenge

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"netserver/handler/httpd"
	"netserver/handler/httpd/redirect"
)

// An Answer is what an authority is to see that asks a name for a token.
type Answer struct {
	Name  string // lower case
	Token string // that the authority has given
	Text  string // the key authorization: the token, a dot, the account key's digest
}

// Bounds of what is answered: authorities choose the tokens, of 43 bytes or so.
const (
	MaxAnswers = 256
	maxToken   = 256
	maxDigest  = 128
)

// Check says what is wrong with an answer. The token becomes a part of a path:
// nothing but what base64url is made of comes through.
func (a *Answer) Check() error {
	digest, ok := strings.CutPrefix(a.Text, a.Token+".")
	switch {
	case !isBase64URL(a.Token, maxToken):
		return fmt.Errorf("a token of %d bytes that is not base64url, or too long", len(a.Token))
	case !ok || !isBase64URL(digest, maxDigest):
		return fmt.Errorf("an answer of %d bytes that does not belong to its token", len(a.Text))
	case a.Name == "" || len(a.Name) > 253 || a.Name != strings.ToLower(a.Name):
		return fmt.Errorf("an answer for a name of %d bytes that is none", len(a.Name))
	}
	return nil
}

func isBase64URL(s string, most int) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// Answers are those that authorities are given now. The zero Answers has none.
// All of it may be called at any time.
type Answers struct {
	open atomic.Pointer[map[asked]string] // nil: none
}

// asked is what is asked for.
type asked struct{ name, token string }

// Set gives these answers, and no others. The error says that one cannot be
// given, or that they are more than MaxAnswers; then those before stay.
func (a *Answers) Set(all []Answer) error {
	if len(all) == 0 {
		a.open.Store(nil)
		return nil
	}
	if len(all) > MaxAnswers {
		return fmt.Errorf("%d answers at once", len(all))
	}
	open := make(map[asked]string, len(all))
	for i := range all {
		x := &all[i]
		if err := x.Check(); err != nil {
			return err
		}
		open[asked{x.Name, x.Token}] = x.Text
	}
	a.open.Store(&open)
	return nil
}

// Path is what the paths begin with that authorities ask for; the token follows.
const Path = "/.well-known/acme-challenge/"

// Handler returns a handler that answers GET requests of authorities, of HTTP
// and of HTTPS, for names and tokens that are open, and has next answer all
// others. To a client that asks for nothing else the engine's record gives the
// outcome challenge.
func (a *Answers) Handler(next http.Handler) http.Handler { return &front{a, next} }

type front struct {
	answers *Answers
	next    http.Handler
}

// ServeHTTP answers a request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if open := f.answers.open.Load(); open != nil {
		if text, name := find(*open, r); text != "" {
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("X-Content-Type-Options", "nosniff")
			httpd.Challenge(r.Context(), name)
			w.Write([]byte(text))
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// find returns the answer to a request, and its name; "" if it is no authority's.
func find(open map[asked]string, r *http.Request) (text, name string) {
	token, ok := strings.CutPrefix(r.URL.Path, Path)
	if !ok || r.Method != http.MethodGet || r.URL.RawPath != "" { // that would be another spelling
		return "", ""
	}
	name = redirect.Host(r)
	return open[asked{name, token}], name
}
