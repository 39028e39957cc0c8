// Package redirect sends HTTP requests on to https, at hosts that the server
// itself serves.
//
// Of this module it imports handler/httpd/cgi, for its page. Start reading at
// Handler.
package redirect

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"

	"netserver/handler/httpd/cgi"
)

// A Handler answers every request with status 308, which keeps its method, and
// leads to https at the host, the path and the query that it asks for. A request
// for another host than those of Serves is not found, so that nobody is led to a
// host that is not the server's. Its fields must not change while it serves.
type Handler struct {
	// Port is that of https as clients reach it; 0 is 443.
	Port int
	// Serves reports whether the server serves a host over TLS: a name in lower
	// case without a dot at its end, or an address without brackets. Any number
	// of requests ask it at once. A nil one serves none.
	Serves func(host string) bool
}

// Check says what is wrong with h.
func (h *Handler) Check() error {
	if h.Port < 0 || h.Port > 65535 {
		return errors.New("redirect: Port is no port")
	}
	return nil
}

// ServeHTTP leads a client on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := Host(r)
	path := r.URL.EscapedPath()
	if host == "" || h.Serves == nil || !h.Serves(host) || r.Method == http.MethodConnect || r.URL.Opaque != "" || path != "" && path[0] != '/' {
		cgi.ErrorPage(w, http.StatusNotFound, "There is no such host or page here\n")
		return
	}
	to := strings.Builder{}
	to.WriteString("https://")
	if port := strconv.Itoa(h.Port); h.Port != 0 && h.Port != 443 {
		to.WriteString(net.JoinHostPort(host, port))
	} else if strings.Contains(host, ":") {
		to.WriteString("[" + host + "]")
	} else {
		to.WriteString(host)
	}
	to.WriteString(path)
	if path == "" {
		to.WriteByte('/')
	}
	if r.URL.RawQuery != "" {
		to.WriteString("?" + r.URL.RawQuery)
	}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// Host returns the host that a request is for: a name in lower case without a
// dot at its end, or an address without brackets, and no port; "" for what is
// neither.
func Host(r *http.Request) string {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if rest, ok := strings.CutPrefix(host, "["); ok {
		addr, closed := strings.CutSuffix(rest, "]")
		if !closed || !strings.Contains(addr, ":") || net.ParseIP(addr) == nil {
			return ""
		}
		return strings.ToLower(addr)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(host) > 253 {
		return ""
	}
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return ""
		}
	}
	return host
}
