//go:build unix

package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/daemon"
	"netserver/internal/control"
	"netserver/netservertest"
)

// An adminClient asks a server's admin listener on a UNIX socket.
type adminClient struct {
	t    testing.TB
	path string
	http.Client
}

// startAdmin starts a server with an admin listener.
func startAdmin(t *testing.T, args ...string) (*running, *adminClient) {
	t.Helper()
	path := filepath.Join(openDir(t), "admin")
	r := start(t, append(args, "--admin", path, "--log_level", "3")...)
	a := &adminClient{t: t, path: path}
	a.Timeout = 30 * time.Second
	a.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	netservertest.Eventually(t, "it is ready", func() bool { code, _, _ := a.try("GET", "/readyz"); return code == 200 })
	return r, a
}

func (a *adminClient) try(method, path string, header ...string) (int, string, error) {
	req, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (a *adminClient) get(path string) string {
	a.t.Helper()
	code, body, err := a.try("GET", path)
	if code != 200 || err != nil {
		a.t.Fatalf("%s: %d %v: %s", path, code, err, body)
	}
	return body
}

// A jsonSchema is as much of JSON Schema as docs/status.schema.json has.
type jsonSchema struct {
	Type       any
	Enum       []string
	Properties map[string]*jsonSchema
	Required   []string
	Items      *jsonSchema
	Additional any `json:"additionalProperties"`
}

func (s *jsonSchema) check(t *testing.T, v any, at string) {
	kinds := fmt.Sprint(s.Type)
	kind := map[bool]string{true: "null"}[v == nil]
	switch v := v.(type) {
	case string:
		kind = "string"
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			t.Errorf("%s: %q is none of %q", at, v, s.Enum)
		}
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
		if strings.Contains(kinds, "integer") && v == float64(int64(v)) {
			kind = "integer"
		}
	case []any:
		kind = "array"
		for i, e := range v {
			s.Items.check(t, e, fmt.Sprintf("%s[%d]", at, i))
		}
	case map[string]any:
		kind = "object"
		for _, k := range s.Required {
			if _, ok := v[k]; !ok {
				t.Errorf("%s.%s is missing", at, k)
			}
		}
		for k, e := range v {
			if p := s.Properties[k]; p != nil {
				p.check(t, e, at+"."+k)
			} else if s.Additional == false {
				t.Errorf("%s.%s is not in the schema", at, k)
			}
		}
	}
	if !strings.Contains(kinds, kind) {
		t.Errorf("%s is %s, not %s", at, kind, kinds)
	}
}

// What a server answers to its operators: health, state, clients, metrics; a
// client is ended; a drain is seen until its end.
func TestAdmin(t *testing.T) {
	schema := new(jsonSchema)
	b, err := os.ReadFile(filepath.Join("..", "docs", "status.schema.json"))
	if err == nil {
		err = json.Unmarshal(b, schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, supervisor string) {
		r, a := startAdmin(t, "--port", "127.0.0.1:0", "--supervisor", supervisor, "--admin_write", "1", "--grace", "60")
		c := mustDial(t, r.addr(0))
		c.mustAsk(t, "hello")
		stays := mustDial(t, r.addr(0))
		stays.mustAsk(t, "hello")
		var status any
		if err := json.Unmarshal([]byte(a.get("/status")), &status); err != nil {
			t.Fatal(err)
		}
		schema.check(t, status, "$")
		var conns control.Conns
		netservertest.Eventually(t, "both clients", func() bool { // a busy worker may be late
			conns = control.Conns{}
			if err := json.Unmarshal([]byte(a.get("/api/conns?limit=10")), &conns); err != nil {
				t.Fatal(err)
			}
			return len(conns.Clients) == 2
		})
		if text := a.get("/api/metrics"); !strings.Contains(text, "netserver_workers_silent") {
			t.Errorf("metrics: %.300s", text)
		}
		if text := a.get("/"); !strings.Contains(text, "<title>") {
			t.Errorf("the page: %.300s", text)
		}
		var session struct{ Token string }
		if err := json.Unmarshal([]byte(a.get("/api/session")), &session); err != nil {
			t.Fatal(err)
		}
		if code, body, err := a.try("POST", "/api/kill?id="+conns.Clients[0].ID, "X-Netserver-Token", session.Token); code != 200 || err != nil {
			t.Errorf("kill: %d %s %v", code, body, err)
		}
		if _, err := c.r.ReadByte(); err == nil {
			t.Error("the client stays")
		}
		if code, body, err := a.try("POST", "/api/penalties/add?network=127.0.0.1&seconds=60", "X-Netserver-Token", session.Token); code != 200 || err != nil {
			t.Errorf("add: %d %s %v", code, body, err)
		}
		if n, err := dial(r.addr(0)); err == nil {
			if got, err := n.ask("hello"); err == nil {
				t.Errorf("who is in the penalty box is answered %q", got)
			}
			n.Close()
		}
		if code, _, err := a.try("POST", "/api/penalties/lift?network=127.0.0.1", "X-Netserver-Token", session.Token); code != 200 || err != nil {
			t.Errorf("lift: %d %v", code, err)
		}
		mustDial(t, r.addr(0)).mustAsk(t, "back")
		r.signal(syscall.SIGQUIT)
		netservertest.Eventually(t, "the drain is seen", func() bool {
			code, body, _ := a.try("GET", "/readyz")
			return code == 503 && body == "draining\n"
		})
		if code, _, err := a.try("GET", "/livez"); code != 200 || err != nil {
			t.Errorf("/livez: %d, %v", code, err)
		}
		stays.mustAsk(t, "still here")
		r.signal(syscall.SIGTERM)
		if code := r.status(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		if _, err := os.Lstat(a.path); err == nil {
			t.Error("the socket's file is left")
		}
	})
}

// A reload is not seen in /readyz, and keeps the admin listener as it is.
func TestAdminThroughReload(t *testing.T) {
	for range 5 { // a worker that a busy machine keeps from answering is seen, and rightly
		if !seenAsSilent(t) {
			return
		}
	}
	t.Error("no worker answers during a reload")
}

// seenAsSilent reloads a server and reports whether /readyz said meanwhile that
// no worker answers.
func seenAsSilent(t *testing.T) (silent bool) {
	t.Helper()
	path := filepath.Join(openDir(t), "f.conf")
	writeFile(t, path, "port 127.0.0.1:0\nmax_servers 5\n")
	r, a := startAdmin(t, "--conf_file", path)
	writeFile(t, path, "port 127.0.0.1:0\nmax_servers 6\n")
	r.signal(syscall.SIGHUP)
	for ready := false; !ready; {
		code, body, err := a.try("GET", "/readyz")
		if late := code == 503 && body == control.ReasonSilent+"\n"; late {
			silent = true
		} else if code != 200 || err != nil {
			t.Fatalf("%d %s %v", code, body, err)
		}
		var st control.Status
		if err := json.Unmarshal([]byte(a.get("/api/status")), &st); err != nil {
			t.Fatal(err)
		}
		ready = st.Restarts == 1 && st.State == "serving"
	}
	if n := strings.Count(r.text(), "the admin process serves"); n != 1 {
		t.Errorf("%d admin processes", n)
	}
	return silent
}

var adminPID = regexp.MustCompile(`the admin process serves, pid (\d+)`)

// adminPID waits for the n-th admin process.
func (r *running) adminPID(n int) int {
	r.t.Helper()
	r.wait("the admin process serves, pid", n)
	pid, _ := strconv.Atoi(adminPID.FindAllStringSubmatch(r.text(), -1)[n-1][1])
	return pid
}

// An admin process that is killed is replaced; one that hangs keeps nobody
// waiting, and ends with the server.
func TestAdminProcessKilledAndStopped(t *testing.T) {
	ctlSocket := filepath.Join(openDir(t), "ctl")
	r, a := startAdmin(t, "--port", "127.0.0.1:0", "--control_socket", ctlSocket)
	first := r.adminPID(1)
	syscall.Kill(first, syscall.SIGKILL)
	second := r.adminPID(2)
	netservertest.Eventually(t, "the next one answers", func() bool { code, _, _ := a.try("GET", "/readyz"); return code == 200 })
	r.wait("the admin process (pid "+strconv.Itoa(first)+") ended unexpectedly", 1)
	syscall.Kill(second, syscall.SIGSTOP)
	for range 5 { // scrapers that wait for it
		c, err := net.Dial("unix", a.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	mustDial(t, r.addr(0)).mustAsk(t, "served")
	netservertest.Eventually(t, "ctl health", func() bool { code, _, _ := ctl(ctlSocket, "health"); return code == 0 })
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d", code)
	}
	netservertest.Eventually(t, "it ends too", func() bool { return !alive(second) })
}

// Clients that send nothing, half a request or read no answer have 32 places, and
// time limits; the server's own clients and ctl do not notice.
func TestAdminStuckClients(t *testing.T) {
	ctlSocket := filepath.Join(openDir(t), "ctl")
	r, a := startAdmin(t, "--port", "127.0.0.1:0", "--control_socket", ctlSocket)
	for i := range 60 {
		c, err := net.Dial("unix", a.path)
		if err != nil {
			break // the backlog is full
		}
		defer c.Close()
		fmt.Fprint(c, []string{"", "GET /api/st", "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"}[i%3])
	}
	mustDial(t, r.addr(0)).mustAsk(t, "served")
	netservertest.Eventually(t, "ctl health", func() bool { code, _, _ := ctl(ctlSocket, "health"); return code == 0 })
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.adminPID(1))); err == nil {
		if m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b); m != nil {
			if kb, _ := strconv.Atoi(string(m[1])); kb > 500<<10 {
				t.Errorf("the admin process has %d KiB", kb)
			}
		}
	}
}

func TestAdminKeysAreChecked(t *testing.T) {
	dir := openDir(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--admin", "192.0.2.1:1"}, "admin_public 1"},
		{[]string{"--admin", "*:1"}, "admin_public 1"},
		{[]string{"--admin", "*:1", "--admin_public", "1", "--admin_write", "1"}, "admin_write"},
		{[]string{"--admin", "*:1", "--admin_public", "1", "--admin_pprof", "1"}, "admin_pprof"},
		{[]string{"--admin", "127.0.0.1:1/udp"}, "not spoken"},
		{[]string{"--admin", "relative|unix"}, "absolute path"},
		{[]string{"--admin", "127.0.0.1:1|SSL_cert_file=/no/such.pem"}, "/no/such.pem"},
		{[]string{"--admin", "127.0.0.1:1|SSL_no_such=1"}, "SSL_no_such"},
		{[]string{"--port", "127.0.0.1:7", "--admin", "127.0.0.1:7"}, "is a port of the server"},
		{[]string{"--port", "*:7", "--admin", "127.0.0.1:7"}, "is a port of the server"},
		{[]string{"--port", dir + "/s/unix", "--admin", dir + "//s"}, "is a port of the server"},
		{[]string{"--admin_write", "1"}, "admin_write"},
		{[]string{"INET", "--admin", filepath.Join(dir, "a")}, "INET"},
	} {
		var out, errs bytes.Buffer
		args := append(tt.args, "--check", "--port", "127.0.0.1:0")
		code := daemon.Command(args, nil, &out, &errs)
		if text := errs.String(); code != 2 || strings.Count(text, "\n") != 1 || !strings.Contains(text, tt.want) {
			t.Errorf("%q: exit status %d, %q, want one line with %s", args, code, text, tt.want)
		}
	}
}
