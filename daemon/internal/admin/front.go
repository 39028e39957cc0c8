package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"netserver/internal/control"
)

// An Ask asks the server for a verb of the control protocol and calls each with
// the parts of the answer.
type Ask func(ctx context.Context, r *control.Request, each func(part string, data json.RawMessage) error) error

// A MetricsHandler makes what answers /metrics; fetch returns the JSON of the
// verb metrics.
type MetricsHandler = func(fetch func(context.Context) ([]byte, error)) http.Handler

// Options are what a Front is made of.
type Options struct {
	Ask     Ask
	Metrics MetricsHandler // nil: /metrics answers 404
	Page    fs.FS
	Version string
	Name    string   // of the machine, for people
	Host    string   // that the listener has; "" for a UNIX socket, whose clients may name any
	Hosts   []string // further names that a Host header may have
	Write   bool     // clients may be ended, and networks banned
	Pprof   bool
}

// A Front answers the requests of the admin listener. It is safe for concurrent
// use, and answers many at the price of one.
type Front struct {
	o     Options
	token string // that a change has to carry
	mux   *http.ServeMux
	cache cache
	lists cache // of clients
	slow  cache // of events, for what changes slowly
	// noTargets tells that the server had no targets when it was asked last.
	noTargets atomic.Bool
	events    events
}

// New makes a Front. Close ends its streams.
func New(o Options) *Front {
	f := &Front{o: o, mux: http.NewServeMux()}
	if o.Write {
		f.token = rand.Text()
	}
	f.cache.init(cacheTime, maxAnswers)
	f.lists.init(cacheTime, maxLists)
	f.slow.init(slowTime, maxAnswers)
	f.events.init(f.tick)
	f.routes()
	return f
}

// Close ends the streams of events, and waits for nothing.
func (f *Front) Close() { f.events.close() }

// verbs are those that /api/VERB answers as they are.
var verbs = [...]string{"status", "limits", "penalties", "targets", "certs", "metrics", "health"}

func (f *Front) routes() {
	get := func(path string, h http.HandlerFunc) { f.mux.HandleFunc("GET "+path, h) }
	get("/livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	get("/readyz", f.readyz)
	get("/status", f.status)
	for _, v := range verbs {
		get("/api/"+v, func(w http.ResponseWriter, r *http.Request) { f.verb(w, r, v) })
	}
	get("/api/conns", f.conns)
	get("/api/session", f.session)
	get("/events", f.stream)
	f.mux.HandleFunc("POST /api/kill", f.change(control.VerbKill, "id"))
	f.mux.HandleFunc("POST /api/penalties/add", f.change(control.VerbBan, "network", "seconds"))
	f.mux.HandleFunc("POST /api/penalties/lift", f.change(control.VerbLift, "network"))
	if f.o.Metrics != nil {
		f.mux.Handle("GET /metrics", f.o.Metrics(f.metrics))
	}
	files := http.FileServerFS(f.o.Page)
	f.mux.Handle("GET /{$}", files)
	f.mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "index.html" || r.PathValue("name") == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		http.StripPrefix("/page/", files).ServeHTTP(w, r)
	})
	if f.o.Pprof {
		f.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		f.mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound) // arguments may be secret
		f.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		f.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		f.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
}

// policy is what the page may load: its own files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// requestTime bounds a request, its body and its answer; streams renew it.
const requestTime = 10 * time.Second

// profileTime bounds what /debug/pprof collects and sends.
const profileTime = 90 * time.Second

// ServeHTTP answers one request.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !f.mayBe(r.Host) {
		writeErrors(w, http.StatusForbidden, "the Host header names another server; admin_hosts lists further names of this one")
		return
	}
	limit := requestTime
	if strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
		limit = profileTime
		ctx, cancel := context.WithTimeout(r.Context(), profileTime)
		defer cancel()
		r = r.WithContext(ctx) // whatever seconds= says
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)) // an error leaves the engine's
	f.mux.ServeHTTP(w, r)
}

// mayBe reports whether a Host header may name this server. A page of another
// site could have its own name lead here (DNS rebinding), but no address.
func (f *Front) mayBe(host string) bool {
	if f.o.Host == "" {
		return true // no browser speaks to a UNIX socket
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || host == strings.ToLower(f.o.Host) {
		return true
	}
	return slices.ContainsFunc(f.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}

func writeJSON(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}

func writeErrors(w http.ResponseWriter, status int, texts ...string) {
	b, err := json.Marshal(map[string][]string{"errors": texts})
	if err != nil {
		b = []byte(`{"errors":["?"]}`)
	}
	writeJSON(w, status, append(b, '\n'))
}
