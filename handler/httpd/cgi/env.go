package cgi

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An Origin is what environments tell of the server.
type Origin struct {
	Type     string   // NET_SERVER_TYPE, such as Net::Server::Fork; "" leaves it out
	Software string   // NET_SERVER_SOFTWARE; "" leaves it out
	Env      []string // further variables, NAME=VALUE, which none of a request can replace
}

// A State is what the handlers of one request tell each other beside its
// headers. Its methods may be called at the same time.
type State struct {
	mu      sync.Mutex
	matched bool
	script  string
	path    string
	notes   map[string]string
}

type stateKey struct{}

// WithState returns r with a State, and that State: the one it has, or else a
// new one.
func WithState(r *http.Request) (*http.Request, *State) {
	if s := StateOf(r); s != nil {
		return r, s
	}
	s := new(State)
	return r.WithContext(context.WithValue(r.Context(), stateKey{}, s)), s
}

// StateOf returns the State of r; nil if it has none.
func StateOf(r *http.Request) *State {
	s, _ := r.Context().Value(stateKey{}).(*State)
	return s
}

// SetScript sets SCRIPT_NAME, and PATH_INFO, to which path comes decoded.
func (s *State) SetScript(name, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.matched, s.script, s.path = true, name, path
}

// SetNote sets what the access log shows for %{name}n.
func (s *State) SetNote(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notes == nil {
		s.notes = make(map[string]string)
	}
	s.notes[name] = value
}

// Note returns what SetNote set.
func (s *State) Note(name string) string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[name]
}

// PathOf returns the path of a request as it was sent, up to a question mark.
func PathOf(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") && path != "*" { // GET http://host/path
		return r.URL.EscapedPath()
	}
	return path
}

// names returns SCRIPT_NAME and PATH_INFO.
func names(r *http.Request) (script, path string) {
	if s := StateOf(r); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.matched {
			return s.script, s.path
		}
	}
	return "", PathOf(r)
}

// AddrOf returns an address of a request as its environment has it: empty for
// that of a UNIX socket, and IPv4 for a client that uses IPv4.
func AddrOf(addr string) (host, port string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" {
		return "", ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return host, port
}

// LocalOf returns the server's address for a request.
func LocalOf(r *http.Request) (host, port string) {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return AddrOf(a.String())
	}
	return "", ""
}

// Vars returns the environment of a request, NAME=VALUE each, sorted.
func (o *Origin) Vars(r *http.Request) []string {
	m := make(map[string]string, 16+len(r.Header))
	m["REMOTE_ADDR"], m["REMOTE_PORT"] = AddrOf(r.RemoteAddr)
	m["SERVER_ADDR"], m["SERVER_PORT"] = LocalOf(r)
	if r.TLS != nil {
		m["HTTPS"] = "on"
	}
	m["REQUEST_METHOD"] = strings.ToUpper(r.Method)
	m["REQUEST_URI"] = r.RequestURI
	m["SERVER_PROTOCOL"] = r.Proto
	if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
		m["QUERY_STRING"] = query
	}
	m["SCRIPT_NAME"], m["PATH_INFO"] = names(r)
	headerVars(m, r)
	if o.Type != "" {
		m["NET_SERVER_TYPE"] = o.Type
	}
	if o.Software != "" {
		m["NET_SERVER_SOFTWARE"] = o.Software
	}
	for _, kv := range o.Env {
		name, value, _ := strings.Cut(kv, "=")
		m[name] = value
	}
	list := make([]string, 0, len(m))
	for name, value := range m {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// headerVars adds the headers of a request.
func headerVars(m map[string]string, r *http.Request) {
	if r.Host != "" || r.ProtoMajor == 1 && r.ProtoMinor == 1 { // HTTP/1.1 has one, an empty one maybe
		m["HTTP_HOST"] = r.Host
	}
	if r.ContentLength > 0 || r.ContentLength == 0 && r.Header.Get("Content-Length") != "" {
		m["CONTENT_LENGTH"] = strconv.FormatInt(r.ContentLength, 10)
	}
	keys := make([]string, 0, len(r.Header))
	for key := range r.Header {
		keys = append(keys, key)
	}
	slices.Sort(keys) // Cookie before Cookies, and the same each time
	for _, key := range keys {
		name := varName(key)
		if name == "" {
			continue
		}
		value := strings.Join(r.Header[key], ", ")
		if have, ok := m[name]; ok {
			value = have + ", " + value
		}
		m[name] = value
	}
}

// varName returns the variable of a header; "" for one that has none. A name with
// an underscore has none: X_Forwarded_For would pass for the X-Forwarded-For that
// a proxy in front has set. Nor has one that is no name of a variable.
func varName(header string) string {
	if strings.ContainsFunc(header, isOdd) {
		return ""
	}
	name := strings.ReplaceAll(strings.ToUpper(header), "-", "_")
	switch name {
	case "COOKIES":
		name = "COOKIE"
	case "CONTENT_TYPE":
		return name
	case "CONTENT_LENGTH", "TRANSFER_ENCODING", "PROXY", "HOST":
		return ""
	}
	return "HTTP_" + name
}

// isOdd reports whether a header with r in its name has no variable.
func isOdd(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// Var returns one variable of a request's environment.
func (o *Origin) Var(r *http.Request, name string) string {
	for _, kv := range o.Vars(r) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
