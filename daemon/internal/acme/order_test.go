package acme

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/daemon/internal/wire"
)

// ordering makes one order at a directory that h plays, and returns its error.
func orderAt(t *testing.T, limit time.Duration, kind string, h http.Handler) error {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	deploy := func(context.Context, []wire.Challenge) error { return nil }
	m := New(Config{Names: []string{"a.example"}, Directory: srv.URL + "/dir", CAFile: roots, Storage: storageIn(t), Challenge: kind}, slog.New(slog.DiscardHandler), deploy, nil)
	var err error
	if m.store, err = OpenStorage(m.c.Storage); err != nil {
		t.Fatal(err)
	}
	defer m.store.Close()
	m.past["a.example"] = new(past)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err = m.orderFor(ctx, "a.example")
	return err
}

// directory answers as one does whose other resources are at base.
func directory(w http.ResponseWriter, base string) {
	fmt.Fprintf(w, `{"newNonce":"%[1]s/nonce","newAccount":"%[1]s/account","newOrder":"%[1]s/order","revokeCert":"%[1]s/x","keyChange":"%[1]s/x"}`, base)
}

// Whatever an authority says, an order ends in time, in an error of one line
// that says what was wrong.
func TestHostileAuthorities(t *testing.T) {
	nonce := func(w http.ResponseWriter) { w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano())) }
	account := func(w http.ResponseWriter, r *http.Request) bool {
		nonce(w)
		switch r.URL.Path {
		case "/dir":
			directory(w, "https://"+r.Host)
		case "/nonce":
		case "/account":
			w.Header().Set("Location", "https://"+r.Host+"/acct/1")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"status":"valid"}`)
		default:
			return false
		}
		return true
	}
	for _, tc := range []struct {
		name, want string
		serve      func(w http.ResponseWriter, r *http.Request)
	}{
		{"nonsense", "invalid", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>hello") }},
		{"empty", "EOF", func(http.ResponseWriter, *http.Request) {}},
		{"not found", "404", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }},
		{"failing", "500", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }},
		{"endless", "too long", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"newNonce":"`)
			for line := strings.Repeat("x", 1<<16); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}},
		{"slow", "deadline exceeded", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // else nobody hears that the client leaves
			<-r.Context().Done()
		}},
		{"without TLS", "not https", func(w http.ResponseWriter, r *http.Request) { directory(w, "http://"+r.Host) }},
		{"leading away", "not https", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}},
		{"leading in circles", "redirects", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/dir", http.StatusFound) }},
		{"out of quota", "too many", func(w http.ResponseWriter, r *http.Request) {
			if account(w, r) {
				return
			}
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many\ncertificates"}`)
		}},
		{"another name", "offers no tls-alpn-01", func(w http.ResponseWriter, r *http.Request) {
			if account(w, r) {
				return
			}
			w.Header().Set("Location", "https://"+r.Host+"/o/1")
			if r.URL.Path == "/order" {
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintf(w, `{"status":"pending","authorizations":["https://%s/z/1"]}`, r.Host)
				return
			}
			fmt.Fprintf(w, `{"status":"pending","identifier":{"type":"dns","value":"b.example"},"challenges":[{"type":"tls-alpn-01","url":"https://%s/c","token":"x"}]}`, r.Host)
		}},
		{"no challenge of ours", "offers no tls-alpn-01", func(w http.ResponseWriter, r *http.Request) {
			if account(w, r) {
				return
			}
			w.Header().Set("Location", "https://"+r.Host+"/o/1")
			if r.URL.Path == "/order" {
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintf(w, `{"status":"pending","authorizations":["https://%s/z/1"]}`, r.Host)
				return
			}
			fmt.Fprint(w, `{"status":"pending","identifier":{"type":"dns","value":"a.example"},"challenges":[{"type":"dns-01","url":"x","token":"x"}]}`)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if tc.name == "slow" || tc.name == "failing" {
				limit = 3 * time.Second
			}
			err := orderAt(t, limit, TLSALPN01, http.HandlerFunc(tc.serve))
			if err == nil || !strings.Contains(reason(err), tc.want) && !(tc.name == "failing" && strings.Contains(err.Error(), "deadline")) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if tc.name == "out of quota" && told(err) != time.Hour {
				t.Errorf("it wants us to wait for %v", told(err))
			}
		})
	}
}

// What an authority gives as a token is shown to nobody by HTTP if it is none, and
// a challenge that was not asked for is not taken instead.
func TestHostileTokens(t *testing.T) {
	for _, tc := range []struct{ kind, token, want string }{
		{HTTP01, "../../etc/passwd", "the challenge: the authority gave a token of 16 bytes that is not base64url"},
		{HTTP01, "", "the authority gave a token of 0 bytes"},
		{HTTP01, "a\\r\\nSet-Cookie: x", "the authority gave a token of"},
		{HTTP01, strings.Repeat("a", 10_000), "the authority gave a token of 10000 bytes"},
		{TLSALPN01, "x", "offers no http-01 challenge"},
	} {
		t.Run(fmt.Sprintf("%.10q", tc.token), func(t *testing.T) {
			t.Parallel()
			err := orderAt(t, time.Minute, HTTP01, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
				base := "https://" + r.Host
				switch r.URL.Path {
				case "/dir":
					directory(w, base)
				case "/account":
					w.Header().Set("Location", base+"/acct/1")
					w.WriteHeader(http.StatusCreated)
					fmt.Fprint(w, `{"status":"valid"}`)
				case "/order":
					w.Header().Set("Location", base+"/o/1")
					w.WriteHeader(http.StatusCreated)
					fmt.Fprintf(w, `{"status":"pending","authorizations":["%s/z/1"]}`, base)
				case "/z/1":
					fmt.Fprintf(w, `{"status":"pending","identifier":{"type":"dns","value":"a.example"},"challenges":[{"type":"%s","url":"%s/c","token":"%s"}]}`, tc.kind, base, tc.token)
				}
			}))
			if err == nil || !strings.Contains(reason(err), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// Who answers in the authority's place is found out by the roots.
func TestAuthorityIsVerified(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	hc, err := newHTTP("")
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := hc.Get(srv.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v, %v", resp, err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	os.WriteFile(empty, []byte("x"), 0o600)
	for file, want := range map[string]string{empty: "there is no certificate in it", empty + "x": "does not exist"} {
		if _, err := newHTTP(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
	}
}

func TestBindingKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	for text, want := range map[string]string{"aGVsbG8": "hello", "aGVsbG8=\n": "hello", " _-_-\n": "\xff\xef\xfe", "": "", "!": "", "a b": ""} {
		os.WriteFile(file, []byte(text), 0o600)
		got, err := readBinding(file)
		if string(got) != want && want != "" || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), text) && len(text) > 1 {
			t.Errorf("the error has the key in it: %v", err)
		}
	}
}
