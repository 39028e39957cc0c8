package httpd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"netserver"
	"netserver/handler/httpd"
	"netserver/netservertest"
	"netserver/outcome"
)

// start serves h on ports of those protocols.
func start(t testing.TB, h http.HandlerFunc, protos ...string) *netservertest.Running {
	return startWith(t, &netserver.Server{}, handler(h), protos...)
}

func startWith(t testing.TB, s *netserver.Server, h *httpd.Handler, protos ...string) *netservertest.Running {
	s.Handler = h
	return netservertest.Start(t, s, protos...)
}

// client returns an http.Client for the port of that protocol that speaks h2 or
// http/1.1.
func client(t testing.TB, r *netservertest.Running, name, version string) *http.Client {
	p := new(http.Protocols)
	switch {
	case version == "http/1.1":
		p.SetHTTP1(true)
	case isTLS(name):
		p.SetHTTP2(true)
	default:
		p.SetUnencryptedHTTP2(true)
	}
	tr := &http.Transport{Protocols: p, TLSClientConfig: r.ClientTLS()}
	to := r.Addr(t, name)
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, to.Network(), to.String())
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// url returns a URL of the port; the client knows the address.
func url(name, path string) string {
	if isTLS(name) {
		return "https://localhost" + path
	}
	return "http://localhost" + path
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// each runs f for each stream protocol and version of HTTP.
func each(t *testing.T, f func(t *testing.T, name, version string)) {
	for _, name := range netservertest.Streams() {
		for _, version := range []string{"http/1.1", "h2"} {
			t.Run(name+"/"+version, func(t *testing.T) { f(t, name, version) })
		}
	}
}

// eachAtOnce is each for what takes time and no processor: t.Parallel runs no more
// at once than there are processors.
func eachAtOnce(t *testing.T, f func(t *testing.T, name, version string)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, name := range netservertest.Streams() {
		for _, version := range []string{"http/1.1", "h2"} {
			all.Go(func() { t.Run(name+"/"+version, func(t *testing.T) { f(t, name, version) }) })
		}
	}
}

type ctxKey struct{}

// TestServes requests on all ports in both versions, with the client in their
// contexts, and one record for the connection.
func TestServes(t *testing.T) {
	each(t, func(t *testing.T, name, version string) {
		s := &netserver.Server{Hooks: netserver.Hooks{Accepted: func(ctx context.Context, c *netserver.Conn) context.Context {
			return context.WithValue(ctx, ctxKey{}, "from Accepted")
		}}}
		h := func(w http.ResponseWriter, r *http.Request) {
			c := httpd.Conn(r.Context())
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %v %v %v %s", r.Proto, r.URL.Path, c.RemoteAddr().String() == r.RemoteAddr, r.TLS != nil, r.Context().Value(ctxKey{}), b)
			if (r.TLS != nil) != (c.TLS() != nil) || r.Context().Value(http.ServerContextKey) == nil || r.Context().Value(http.LocalAddrContextKey) == nil {
				t.Errorf("TLS %v, context %v", r.TLS, r.Context())
			}
			httpd.Note(r.Context(), slogPath(r))
		}
		r := startWith(t, s, handler(h), name)
		c := client(t, r, name, version)
		proto := map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"}[version]
		for i := range 3 {
			res, err := c.Post(url(name, fmt.Sprintf("/%d", i)), "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if want := fmt.Sprintf("%s /%d true %v from Accepted body", proto, i, isTLS(name)); string(b) != want {
				t.Errorf("%q, want %q", b, want)
			}
		}
		c.CloseIdleConnections()
		rec := r.Records(t, 1)[0]
		if rec.Outcome != outcome.Served || rec.In == 0 || rec.Out == 0 {
			t.Errorf("%v", rec)
		}
		if got := fmt.Sprint(rec.Notes); !strings.Contains(got, "requests=3") || !strings.Contains(got, "path=/2") || !strings.Contains(got, "http="+map[string]string{"h2": "h2", "http/1.1": "http/1"}[version]) {
			t.Errorf("notes: %v", got)
		}
	})
}

// TestALPN: TLS ports offer what the Handler speaks, unless told otherwise.
func TestALPN(t *testing.T) {
	for _, tt := range []struct {
		name string
		no   bool     // NoHTTP2
		own  []string // TLSConfig.NextProtos
		ask  []string
		want string // "!": the handshake fails
	}{
		{"h2", false, nil, []string{"h2", "http/1.1"}, "h2"},
		{"http/1.1", false, nil, []string{"http/1.1"}, "http/1.1"},
		{"the client's order", false, nil, []string{"http/1.1", "h2"}, "http/1.1"},
		{"none asked", false, nil, nil, ""},
		{"another asked", false, nil, []string{"imap"}, "!"},
		{"NoHTTP2", true, nil, []string{"h2", "http/1.1"}, "http/1.1"},
		{"TLSConfig", false, []string{"http/1.1", "x"}, []string{"h2", "x"}, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := handler(func(w http.ResponseWriter, r *http.Request) {})
			h.NoHTTP2 = tt.no
			s := &netserver.Server{}
			if tt.own != nil {
				s.TLSConfig = &tls.Config{NextProtos: tt.own}
			}
			r := startWith(t, s, h, "ssl")
			cfg := r.ClientTLS()
			cfg.NextProtos = tt.ask
			c := tls.Client(r.DialRaw(t, "ssl"), cfg)
			err := c.Handshake()
			if tt.want == "!" {
				if err == nil {
					t.Error("no error")
				}
				if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.NoProtocol {
					t.Errorf("%v", rec)
				}
				return
			}
			if err != nil || c.ConnectionState().NegotiatedProtocol != tt.want {
				t.Errorf("%v, %q", err, c.ConnectionState().NegotiatedProtocol)
			}
		})
	}
}

// TestPanics end their request's connection, or their stream, and are in the
// record; http.ErrAbortHandler is in no record.
func TestPanics(t *testing.T) {
	each(t, func(t *testing.T, name, version string) {
		for _, v := range []any{"boom", http.ErrAbortHandler} {
			r := start(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/panic" {
					panic(v)
				}
			}, name)
			c := client(t, r, name, version)
			get(t, c, url(name, "/"))
			if res, err := c.Get(url(name, "/panic")); err == nil {
				t.Errorf("an answer: %v", res)
			}
			if version == "h2" {
				get(t, c, url(name, "/"))
			}
			c.CloseIdleConnections()
			rec := r.Records(t, 1)[0]
			var p *netserver.PanicError
			if errors.As(rec.Err, &p) != (v == "boom") || (rec.Outcome == outcome.Panic) != (v == "boom") {
				t.Errorf("%v: %v %v", v, rec.Outcome, rec.Err)
			}
			if p != nil && !strings.Contains(string(p.Stack), "serve_test.go") {
				t.Errorf("stack: %s", p.Stack)
			}
		}
	})
}
