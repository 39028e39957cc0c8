package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"

	"netserver/daemon/internal/admin/page"
)

const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type object = map[string]any

// A fake answers the page as an admin listener does. What it says is in state,
// which tests change with set; a tick is sent when a test calls tick.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	state   state
	seen    map[string]int // requests by path
	posts   []string       // commands carried out
	streams map[chan []byte]bool
	changed *sync.Cond
}

// A state is a server as the page sees it.
type state struct {
	write    bool
	version  string
	refuse   string // what a command is refused with
	second   int    // since the start
	status   object
	limits   object
	targets  object
	certs    object
	boxed    []object
	clients  []object
	detail   object                    // what is known of each of them alone
	outcomes map[string]map[string]int // by port
	refused  map[string]int
	buckets  map[int]int // of handshake times
	bare     bool        // nothing but the status
}

func newFake(t *testing.T, s state) *fake {
	f := &fake{state: s, seen: map[string]int{}, streams: map[chan []byte]bool{}}
	f.changed = sync.NewCond(&f.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", f.events)
	mux.HandleFunc("GET /api/session", f.answer(func() any {
		return object{"write": f.state.write, "token": "secret", "version": f.state.version, "name": "mail-1.example.org"}
	}))
	mux.HandleFunc("GET /api/conns", f.conns)
	mux.HandleFunc("POST /api/kill", f.command("kill", "id"))
	mux.HandleFunc("POST /api/penalties/add", f.command("ban", "network", "seconds"))
	mux.HandleFunc("POST /api/penalties/lift", f.command("lift", "network"))
	for name, b := range timely(t) {
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			w.Write(b)
		})
	}
	mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, page.Files(), r.PathValue("name"))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		b, err := fs.ReadFile(page.Files(), "index.html")
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(b)
	})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.seen[r.URL.Path]++
		f.mu.Unlock()
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.dropStreams()
		f.Server.CloseClientConnections()
		f.Server.Close()
	})
	return f
}

// timely are files of the page with other times: live.js waits longer for the
// next tick, since ticks come when the test sends them, and detail.js asks sooner.
func timely(t *testing.T) map[string][]byte {
	all := make(map[string][]byte)
	for _, c := range []struct{ name, from, to string }{
		{"live.js", "const silence = 4000;", "const silence = 4000000;"},
		{"detail.js", "const again = 2000;", "const again = 100;"},
	} {
		b, err := fs.ReadFile(page.Files(), c.name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(b, []byte(c.from)) != 1 {
			t.Fatalf("%s has no %q", c.name, c.from)
		}
		all[c.name] = bytes.Replace(b, []byte(c.from), []byte(c.to), 1)
	}
	return all
}

func (f *fake) set(change func(*state)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.state)
}

func (f *fake) requests(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[path]
}

func (f *fake) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.posts)
}

func (f *fake) answer(what func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		v := what()
		f.mu.Unlock()
		writeJSON(w, v)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// conns lists the clients behind after, as the verb does.
func (f *fake) conns(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	f.mu.Lock()
	all, from := f.state.clients, 0
	f.mu.Unlock()
	if id := r.FormValue("id"); id != "" {
		f.conn(w, all, id)
		return
	}
	if after := r.FormValue("after"); after != "" {
		from = slices.IndexFunc(all, func(c object) bool { return c["id"] == after }) + 1
	}
	part := all[from:min(len(all), from+limit)]
	next := ""
	if len(part) > 0 {
		next = part[len(part)-1]["id"].(string)
	}
	writeJSON(w, object{"clients": part, "more": from+len(part) < len(all), "next": next, "silent": []any{}})
}

// conn tells of one client what the list does, and what the state has besides.
func (f *fake) conn(w http.ResponseWriter, all []object, id string) {
	i := slices.IndexFunc(all, func(c object) bool { return c["id"] == id })
	if i < 0 {
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, object{"errors": []string{"no client " + id}})
		return
	}
	c := mapsClone(all[i])
	f.mu.Lock()
	for k, v := range f.state.detail {
		c[k] = v
	}
	f.mu.Unlock()
	writeJSON(w, c)
}

// command carries out what changes something, and writes it down.
func (f *fake) command(name string, params ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.state.write || r.Header.Get("X-Netserver-Token") != "secret" || f.state.refuse != "" {
			w.WriteHeader(http.StatusForbidden)
			writeJSON(w, object{"errors": []string{f.state.refuse}})
			return
		}
		line := name
		for _, p := range params {
			line += " " + r.URL.Query().Get(p)
		}
		f.posts = append(f.posts, line)
		switch name {
		case "kill":
			f.state.clients = slices.DeleteFunc(slices.Clone(f.state.clients), func(c object) bool { return c["id"] == r.URL.Query().Get("id") })
		case "ban":
			f.state.boxed = append(f.state.boxed, object{"network": r.URL.Query().Get("network"), "left_seconds": 600, "offences": 0, "processes": 1})
		case "lift":
			f.state.boxed = nil
		}
		writeJSON(w, object{})
	}
}

func (f *fake) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 100\n\n") // milliseconds
	w.(http.Flusher).Flush()
	ticks := make(chan []byte, 2000)
	f.mu.Lock()
	f.streams[ticks] = true
	f.changed.Broadcast()
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, ticks)
		f.changed.Broadcast()
		f.mu.Unlock()
	}()
	for {
		select {
		case b, ok := <-ticks:
			if !ok {
				return
			}
			fmt.Fprintf(w, "event: tick\ndata: %s\n\n", b)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// awaitStreams waits until so many pages listen.
func (f *fake) awaitStreams(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.streams) != n {
		f.changed.Wait()
	}
}

// dropStreams ends all streams, as a restart of the server does.
func (f *fake) dropStreams() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.streams {
		close(c)
		delete(f.streams, c)
	}
}

// tick lets a second pass, in which change happens, and tells the pages.
func (f *fake) tick(change func(*state)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.second++
	if change != nil {
		change(&f.state)
	}
	b, err := json.Marshal(f.state.tick())
	if err != nil {
		panic(err)
	}
	for c := range f.streams {
		c <- b
	}
}

func (s *state) tick() object {
	status := object{}
	for k, v := range s.status {
		status[k] = v
	}
	status["uptime_seconds"] = float64(s.second) + 86400*12
	status["version"] = s.version
	var listeners []object
	for _, name := range slices.Sorted(mapKeys(s.outcomes)) {
		listeners = append(listeners, object{"port": name, "open": true, "outcomes": s.outcomes[name], "refused": object{}})
	}
	status["listeners"] = listeners
	tick := object{"time": 1796000000 + s.second, "status": status}
	if s.bare {
		return tick
	}
	limits := object{}
	for k, v := range s.limits {
		limits[k] = v
	}
	var list []object
	for _, l := range s.limits["limits"].([]object) {
		l := mapsClone(l)
		l["refused"] = s.refused[l["key"].(string)]
		list = append(list, l)
	}
	limits["limits"] = list
	tick["limits"], tick["targets"], tick["certs"] = limits, s.targets, s.certs
	tick["penalties"] = object{"boxed": s.boxed, "more": false}
	tick["metrics"] = object{"families": s.families()}
	return tick
}

// families are those of the verb metrics that the page reads.
func (s *state) families() []object {
	var shakes, open []object
	for i, part := range []object{
		{"tls_version": "1.3", "group": "X25519MLKEM768", "suite": "TLS_AES_128_GCM_SHA256", "resumed": "false"},
		{"tls_version": "1.3", "group": "X25519", "suite": "TLS_AES_128_GCM_SHA256", "resumed": "true"},
		{"tls_version": "1.2", "group": "P-256", "suite": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "resumed": "false"},
	} {
		count, sum, buckets := 0, 0.0, object{}
		for b, n := range s.buckets {
			// The first has five eighths and what does not divide.
			n8 := []int{n - n/4 - n/8, n / 4, n / 8}[i]
			count += n8
			sum += float64(n8) * math.Exp2(float64(b)/8)
			buckets[strconv.Itoa(b)] = n8
		}
		if count > 0 {
			shakes = append(shakes, object{"labels": part, "count": count, "sum": sum, "schema": 3, "zero": 0, "buckets": buckets})
		}
	}
	for _, name := range slices.Sorted(mapKeys(s.outcomes)) {
		for stage, n := range map[string]int{"handler": 7, "handshake": 2} {
			open = append(open, object{"labels": object{"port": name, "stage": stage}, "value": n})
		}
	}
	return []object{
		{"name": "netserver_handshake_seconds", "type": "histogram", "samples": shakes},
		{"name": "netserver_connections", "type": "gauge", "samples": open},
		{"name": "netserver_would_refuse_total", "type": "counter", "samples": []object{{"labels": object{"port": "0.0.0.0:993/ssl", "limit": "max_per_prefix"}, "value": 31}}},
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func mapsClone(m object) object {
	c := object{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// add counts n clients more that ended on a port.
func (s *state) add(port, outcome string, n int) {
	if s.outcomes[port] == nil {
		s.outcomes[port] = map[string]int{}
	}
	s.outcomes[port][outcome] += n
}

// shake counts n handshakes of about so many seconds.
func (s *state) shake(seconds float64, n int) {
	s.buckets[int(math.Ceil(math.Log2(seconds)*8))] += n
}

// quiet is a server that nobody uses.
func quiet() state {
	return state{
		version:  "2.4.0",
		status:   object{"pid": 1412, "type": "PreFork", "supervisor": true, "state": "serving", "clients": 0, "in_handler": 0, "crashes": 0, "memory_bytes": 61 << 20, "descriptors": 96, "generations": []object{generation(3, "serving", 0)}, "silent": []any{}},
		limits:   object{"limits": []object{}, "sources": []object{}},
		targets:  object{"targets": []object{}},
		certs:    object{"certificates": []object{}},
		outcomes: map[string]map[string]int{"0.0.0.0:993/ssl": {}},
		refused:  map[string]int{}, buckets: map[int]int{},
	}
}

func generation(id int, what string, clients int) object {
	return object{"generation": id, "state": what, "workers": []object{{
		"worker": id*2 - 1, "pid": 1500 + id, "state": what, "answers": true, "uptime_seconds": 3600.5 * float64(id), "clients": clients, "in_handler": clients, "served": 41250, "memory_bytes": 31 << 20, "descriptors": 48 + clients,
	}}}
}

// many returns n clients, from two thirds as many addresses.
func many(n int) []object {
	names := []string{"mail.example.org", "imap.example.org", "www.example.com", ""}
	stages := [][2]string{{"handler", "proxy imap to 10.0.0.5:143"}, {"handler", "proxy imap to 10.0.0.6:143"}, {"handler", "echo"}, {"handshake", "waits for the rest of the hello"}}
	list := make([]object, n)
	for i := range list {
		addr := netip.AddrFrom4([4]byte{198, 51, byte(100 + i/40000), byte(i * 2 / 3)})
		stage := stages[i*7%11%4]
		var idle any
		if i%5 > 0 {
			idle = float64(i%47) * 1.3
		}
		list[i] = object{
			"id": fmt.Sprintf("%d.%d", 5+i%2, i+1), "worker": 5 + i%2, "pid": 1503, "port": []string{"0.0.0.0:993/ssl", "0.0.0.0:143/tcp"}[i%3/2],
			"peer": fmt.Sprintf("%s:%d", addr, 1024+i*13%60000), "peer_name": "", "tls": []string{"TLS 1.3", "TLS 1.3", "none"}[i%3], "server_name": names[i%4],
			"stage": stage[0], "doing": stage[1], "since": "2026-11-26T01:41:50.12Z", "connected_seconds": float64(n-i) * 3.7, "bytes_in": i * 911 % 70000, "bytes_out": i * 7919 % 9000000, "idle_seconds": idle,
		}
	}
	return list
}
