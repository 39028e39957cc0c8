//go:build unix

package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/daemon"
	"netserver/netservertest"
	"netserver/port"
)

// A flow is the order of hooks in one run: a start, a client that is served,
// one that is denied, a restart with another client, and the end.
type flow struct {
	Server []string   `json:"server"`            // of the process that was started; <client> is all of a client's
	Child  [][]string `json:"child,omitempty"`   // of processes that serve, without their clients; each order once
	Served []string   `json:"served"`            // of a client that is served
	Denied []string   `json:"denied,omitempty"`  // and of one that is denied
	Others []string   `json:"atTimes,omitempty"` // what runs now and then, or as often as there are processes
}

// A step is a hook that ran in a process; of a client that has a number there,
// or "".
type step struct{ pid, client, name string }

// flowOf sorts what ran where. first and last begin and end a client's part.
func flowOf(t *testing.T, steps []step, isServer func(step) bool, atTimes []string, first, last, served string) flow {
	t.Helper()
	var f flow
	client := make(map[string][]string) // by process and number: the client's steps so far
	children := make(map[string][]string)
	for _, s := range steps {
		switch {
		case slices.Contains(atTimes, s.name):
			if !slices.Contains(f.Others, s.name) {
				f.Others = append(f.Others, s.name)
			}
			continue
		case s.name == first:
			client[s.pid+s.client] = []string{s.name}
			continue
		case client[s.pid+s.client] != nil:
			client[s.pid+s.client] = append(client[s.pid+s.client], s.name)
			if s.name == last {
				f.addClient(t, client[s.pid+s.client], served)
				delete(client, s.pid+s.client)
				if isServer(s) {
					f.Server = append(f.Server, "<client>")
				}
			}
			continue
		case isServer(s):
			f.Server = append(f.Server, s.name)
		default:
			children[s.pid] = append(children[s.pid], s.name)
		}
	}
	for pid, c := range client {
		t.Errorf("a client of process %s is without an end: %v", pid, c)
	}
	for _, c := range children {
		if !slices.ContainsFunc(f.Child, func(o []string) bool { return slices.Equal(o, c) }) {
			f.Child = append(f.Child, c)
		}
	}
	slices.Sort(f.Others)
	return f
}

// addClient notes a client's steps, which all clients of its kind must have.
func (f *flow) addClient(t *testing.T, steps []string, served string) {
	t.Helper()
	p := &f.Denied
	if slices.Contains(steps, served) {
		p = &f.Served
	}
	if *p != nil && !slices.Equal(*p, steps) {
		t.Errorf("one client has %v, another %v", *p, steps)
	}
	*p = steps
}

// flowKinds are the server types and the signal that ends each run.
var flowKinds = []struct {
	name string
	args []string // keys that both understand
	end  syscall.Signal
}{
	{"Single", nil, syscall.SIGTERM},
	{"Fork", nil, syscall.SIGTERM},
	{"Fork, QUIT", nil, syscall.SIGQUIT},
	{"PreForkSimple", []string{"--max_servers=1"}, syscall.SIGTERM},
	{"PreFork", []string{"--min_servers=1", "--max_servers=3", "--min_spare_servers=1", "--max_spare_servers=2"}, syscall.SIGTERM},
	{"PreFork, QUIT", []string{"--min_servers=1", "--max_servers=3", "--min_spare_servers=1", "--max_spare_servers=2"}, syscall.SIGQUIT},
	{"INET", nil, 0},
}

// flowProgram is a server that says when its hooks run.
func flowProgram() int {
	say := func(name string) { fmt.Fprintf(os.Stderr, "step %d %s\n", os.Getpid(), name) }
	sayOf := func(c *netserver.Conn, name string) {
		fmt.Fprintf(os.Stderr, "step %d/%d %s\n", os.Getpid(), c.ID(), name)
	}
	s := &netserver.Server{
		Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			sayOf(c, "Serve")
			line, err := c.ReadLine()
			if err == nil {
				_, err = fmt.Fprintf(c, "said %s\n", line)
			}
			return err
		}),
		Hooks: netserver.Hooks{
			Accepted: func(ctx context.Context, c *netserver.Conn) context.Context { sayOf(c, "Accepted"); return ctx },
			Allow: func(_ context.Context, c *netserver.Conn) error {
				sayOf(c, "Allow")
				if c.Peer().IP.String() == "127.0.0.2" {
					return errors.New("not this one")
				}
				return nil
			},
			Denied:  func(_ context.Context, c *netserver.Conn, _ *netserver.Error) { sayOf(c, "Denied") },
			Handled: func(_ context.Context, c *netserver.Conn, _ error) { sayOf(c, "Handled") },
			Closed:  func(c *netserver.Conn, _ netserver.Record) { sayOf(c, "Closed") },
		},
	}
	h := daemon.Hooks{
		Configured:  func(*conf.Result) error { say("Configured"); return nil },
		Bound:       func([]port.Spec) { say("Bound") },
		WorkerStart: func(context.Context) error { say("WorkerStart"); return nil },
		Serving:     func() { say("Serving") },
		Restarting:  func() { say("Restarting") },
		WorkerStop:  func() { say("WorkerStop") },
		Ending:      func() { say("Ending") },
		Ended:       func() { say("Ended") },
	}
	if err := daemon.Run(context.Background(), s, daemon.Config{}, h, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

// ourFlow runs netserver through a kind.
func ourFlow(t *testing.T, kind string, args []string, end syscall.Signal) flow {
	t.Helper()
	kind, _, _ = strings.Cut(kind, ",")
	re := regexp.MustCompile(`(?m)^step (\d+)(/\d+)? (\w+)$`)
	var text, pid string
	if kind == "INET" {
		var log lockedText
		cmd := exec.Command(os.Args[0], "INET")
		cmd.Env = append(os.Environ(), programVar+"=flow")
		cmd.Stderr = &log
		runINET(t, cmd)
		text, pid = log.text(), strconv.Itoa(cmd.Process.Pid)
	} else {
		r := startProgram(t, os.Args[0], "flow", append([]string{kind, "--port=127.0.0.1:0"}, args...)...)
		addr := r.addr(0)
		flowClients(t, addr)
		r.signal(syscall.SIGHUP)
		r.wait(" Serving", 2)
		r.wait(" WorkerStop", strings.Count(r.text(), " WorkerStart\n")-max(1, atLeast(args)))
		served(t, addr)
		if code := r.end(end); code != 0 {
			t.Errorf("exit status %d", code)
		}
		text, pid = r.text(), strconv.Itoa(r.pid())
	}
	var steps []step
	var servers []string
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		if m[3] == "Configured" && m[1] != pid {
			continue // of a worker or a check: the original has no process that does as little
		}
		steps = append(steps, step{m[1], m[2], m[3]})
		if m[1] == pid {
			servers = append(servers, m[1])
		}
	}
	return flowOf(t, steps, func(s step) bool { return slices.Contains(servers, s.pid) }, nil, "Accepted", "Closed", "Serve")
}

func atLeast(args []string) int { return 3 * min(1, len(args)/2) } // the PreFork kinds have three processes

// perlFlow runs the original through a kind. A signal that reaches it just
// before it waits for clients is lost until the next one comes: then it is run
// again.
func perlFlow(t *testing.T, script, kind string, args []string, end syscall.Signal) flow {
	t.Helper()
	for range 5 {
		if f, ok := tryPerl(t, script, kind, args, end); ok {
			return f
		}
	}
	t.Fatalf("%s: the original does not restart", kind)
	return flow{}
}

// soon reports whether ok returns true within some seconds.
func soon(ok func() bool) bool {
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

func tryPerl(t *testing.T, script, kind string, args []string, end syscall.Signal) (flow, bool) {
	t.Helper()
	kind, _, _ = strings.Cut(kind, ",")
	log := filepath.Join(t.TempDir(), "log")
	steps := func() (list []step) {
		b, _ := os.ReadFile(log)
		for line := range strings.Lines(string(b)) {
			pid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			list = append(list, step{pid: pid, name: name})
		}
		return list
	}
	count := func(name string) (n int) {
		for _, s := range steps() {
			if s.name == name {
				n++
			}
		}
		return n
	}
	cmd := exec.Command(script)
	cmd.Env = append(os.Environ(), "FLOW_TYPE="+kind, "FLOW_LOG="+log)
	if kind == "INET" {
		runINET(t, cmd)
	} else {
		addr := freeAddr(t)
		cmd.Args = append(cmd.Args, append([]string{"--port=" + addr, "--log_level=0"}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		netservertest.Eventually(t, "the loop", func() bool { return count("loop") == 1 })
		if c, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))); err == nil {
			c.Close()
			return flow{}, false // it is not there
		}
		flowClients(t, addr)
		netservertest.Eventually(t, "both clients' ends", func() bool { return count("post_client_connection_hook") == 2 })
		await := func(n int) { // the children of Fork end after their clients
			if kind == "Fork" {
				netservertest.Eventually(t, "the children's ends", func() bool { return count("delete_child_hook") == n })
			}
		}
		await(2)
		cmd.Process.Signal(syscall.SIGHUP)
		if !soon(func() bool { return count("loop") == 2 }) {
			return flow{}, false
		}
		if tryServed(t, addr) != nil {
			return flow{}, false // it lost its port when it restarted
		}
		netservertest.Eventually(t, "the client's end", func() bool { return count("post_client_connection_hook") == 3 })
		await(3)
		cmd.Process.Signal(end)
		if !soon(func() bool {
			return count("post_child_cleanup_hook") == 2 && count("child_finish_hook") == count("child_init_hook")
		}) {
			return flow{}, false
		}
		if err := cmd.Wait(); err != nil {
			t.Logf("%s: %v", kind, err) // where it was slow, an INT meant for its children may end it
			return flow{}, false
		}
	}
	atTimes := []string{"pre_accept_hook", "can_read_hook", "idle_loop_hook", "parent_read_hook", "child_is_talking_hook",
		"run_n_children_hook", "pre_fork_hook", "register_child", "delete_child_hook"}
	return flowOf(t, steps(), func(s step) bool { return s.pid == strconv.Itoa(cmd.Process.Pid) }, atTimes,
		"post_accept_hook", "post_client_connection_hook", "process_request"), true
}

// A lockedText collects what a process writes.
type lockedText struct{ running }

// runINET gives cmd a client as inetd does, and waits for its end.
func runINET(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := mustDial(t, l.Addr().String())
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := nc.(*net.TCPConn).File()
	nc.Close()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout = f, f
	err = cmd.Start()
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "hello\n")
	if got, err := io.ReadAll(c.r); !strings.Contains(string(got), "said hello") {
		t.Errorf("got %q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// flowClients are one that is served and one that is denied.
func flowClients(t *testing.T, addr string) {
	t.Helper()
	served(t, addr)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Skipf("127.0.0.2 is no address here: %v", err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("a denied client got %q", b)
	}
}

func served(t *testing.T, addr string) {
	t.Helper()
	if err := tryServed(t, addr); err != nil {
		t.Fatal(err)
	}
}

// tryServed is a client. It returns an error if it cannot connect.
func tryServed(t *testing.T, addr string) error {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "hello\n")
	if got, err := io.ReadAll(c); strings.TrimSpace(string(got)) != "said hello" {
		t.Errorf("got %q, %v", got, err)
	}
	return nil
}

// flowFile is what a version of the original did.
func flowFile(version string) string { return filepath.Join("testdata", "flow-"+version+".json") }

// A hook of the original may be told of by another of ours, or by none, as
// docs/NET-SERVER.md says; where the order differs on purpose, it is here.
var flowDifferences = []struct{ kind, part, perl, ours, why string }{
	{"", "server", "Ending, Ended, Restarting, Configured, Bound", "Configured, Restarting, Bound",
		"a restart ends nothing before the new configuration is known to be good and served"},
	{"", "denied", "Denied, Handled, Closed", "Denied, Closed", "there is nothing that was handled"},
	{"Single", "child", "", "WorkerStart, WorkerStop", "a process of its own serves, so that it can have less rights and be replaced"},
	{"Single", "server", "Bound, <client>, <client>, Configured, Restarting, Bound, <client>, Ending", "Bound, Configured, Restarting, Bound, Ending", "the same"},
	{"INET", "server", "Configured, Bound, <client>, Ending", "Configured, Bound, WorkerStart, <client>, Ending", "the one process is worker too"},
	{"INET", "server", "<client>, Ending, Ended", "<client>, Ending, WorkerStop, Ended", "the same"},
}

var hookName = regexp.MustCompile("^`(?:daemon\\.)?(?:Hooks|Handler)\\.(\\w+)")

// flowMapping returns which hook of ours docs/NET-SERVER.md gives for each of
// the original's, "" for none.
func flowMapping(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../docs/NET-SERVER.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## Hooks and methods\n")
	text, _, _ = strings.Cut(text, "\n## ")
	m := make(map[string]string)
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			continue
		}
		ours := ""
		if h := hookName.FindStringSubmatch(strings.TrimSpace(cells[2])); h != nil {
			ours = h[1]
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			if strings.Contains(name, "(") {
				continue // nothing of the original
			}
			m[strings.TrimSpace(name)] = ours
		}
	}
	if m["process_request"] != "Serve" || len(m) < 40 {
		t.Fatalf("the table of hooks was not understood: %v", m)
	}
	return m
}

// compareFlows holds our order of hooks against the original's.
func compareFlows(t *testing.T, kind string, perl, ours flow, mapping map[string]string, used map[int]bool) {
	t.Helper()
	known := map[string]bool{"<client>": true}
	for _, name := range mapping {
		known[name] = true
	}
	translate := func(list []string) string {
		var got []string
		for _, name := range list {
			to, ok := mapping[name]
			switch {
			case name == "<client>":
				to = name
			case !ok:
				t.Errorf("docs/NET-SERVER.md says nothing of %s", name)
			}
			if to != "" {
				got = append(got, to)
			}
		}
		return strings.Join(got, ", ")
	}
	translate(perl.Others) // each has its line
	check := func(part, perl, ours string) {
		for i, d := range flowDifferences {
			if d.part != part || d.kind != "" && d.kind != kind {
				continue
			}
			if strings.Contains(perl, d.perl) && (d.perl != "" || perl == "") {
				perl = strings.Replace(perl, d.perl, d.ours, 1)
				used[i] = true
			}
		}
		if perl != ours {
			t.Errorf("%s:\n Net::Server %s\n netserver   %s", part, perl, ours)
		}
	}
	mine := func(list []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !known[s] }), ", ")
	}
	each := func(lists [][]string, f func([]string) string) string {
		var all []string
		for _, l := range lists {
			if s := f(l); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
		return strings.Join(all, "; ")
	}
	check("server", translate(perl.Server), mine(ours.Server))
	check("child", each(perl.Child, translate), each(ours.Child, mine))
	check("served", translate(perl.Served), mine(ours.Served))
	check("denied", translate(perl.Denied), mine(ours.Denied))
}

// TestFlow compares with what was recorded of the original, without Perl.
func TestFlow(t *testing.T) {
	files, err := filepath.Glob(flowFile("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	mapping, used := flowMapping(t), make(map[int]bool)
	mine := make(map[string]flow)
	for _, k := range flowKinds {
		mine[k.name] = ourFlow(t, k.name, k.args, k.end)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		var recorded map[string]flow
		if err == nil {
			err = json.Unmarshal(b, &recorded)
		}
		if err != nil || len(recorded) != len(flowKinds) {
			t.Fatalf("%s: %d kinds, %v", file, len(recorded), err)
		}
		for _, k := range flowKinds {
			t.Run(filepath.Base(file)+"/"+k.name, func(t *testing.T) {
				name, _, _ := strings.Cut(k.name, ",")
				compareFlows(t, name, recorded[k.name], mine[k.name], mapping, used)
			})
		}
	}
	for i, d := range flowDifferences {
		if !used[i] {
			t.Errorf("nothing shows the difference %q: %s", d.perl, d.why)
		}
	}
}

// TestFlowPerl asks the original again and holds it against its recording.
// With -update it writes that.
func TestFlowPerl(t *testing.T) {
	perl := netservertest.PerlModule(t, "Net::Server")
	out, err := exec.Command(perl, "testdata/flow.pl").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(out))
	script, err := filepath.Abs("testdata/flow.pl")
	if err != nil {
		t.Fatal(err)
	}
	file := flowFile(version)
	update := flag.Lookup("update").Value.String() == "true"
	if _, err := os.Stat(file); err != nil && !update {
		t.Skipf("no recording for Net::Server %s", version)
	}
	now := make(map[string]flow)
	for _, k := range flowKinds {
		now[k.name] = perlFlow(t, script, k.name, k.args, k.end)
	}
	if update {
		b, err := json.MarshalIndent(now, "", " ")
		if err == nil {
			err = os.WriteFile(file, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var was map[string]flow
	if err := json.Unmarshal(b, &was); err != nil {
		t.Fatal(err)
	}
	for _, k := range flowKinds {
		w, n := was[k.name], now[k.name]
		// In what order the original hears of a signal and of a child's end is
		// up to the machine; under load it may be another than was recorded.
		for range 4 {
			if w.Others, n.Others = nil, nil; reflect.DeepEqual(w, n) { // which may need longer to come up
				break
			}
			t.Logf("%s: recorded %+v, now %+v", k.name, w, n)
			n = perlFlow(t, script, k.name, k.args, k.end)
		}
		if w.Others, n.Others = nil, nil; !reflect.DeepEqual(w, n) {
			t.Errorf("%s: recorded %+v, now %+v", k.name, w, n)
		}
	}
}
