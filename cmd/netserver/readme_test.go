//go:build unix

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// A block is a fenced block of a page.
type block struct {
	kind  string // what stands behind the fence
	lines []string
}

func readme(t *testing.T) (text string, blocks []block) {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b), blocksOf(string(b))
}

// blocksOf returns the fenced blocks of a page.
func blocksOf(text string) (blocks []block) {
	inside := false
	for line := range strings.Lines(text) {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !inside:
			blocks = append(blocks, block{kind: strings.TrimSpace(kind)})
			inside = true
		case fence:
			inside = false
		case inside:
			last := &blocks[len(blocks)-1]
			last.lines = append(last.lines, line)
		}
	}
	return blocks
}

// A step is a command of the tour with the output that the README shows.
type step struct{ command, output string }

func (b block) steps() (steps []step) {
	for _, line := range b.lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: strings.TrimSpace(command)})
		} else if len(steps) > 0 {
			steps[len(steps)-1].output += line
		}
	}
	return steps
}

// openDir makes a directory that everybody can reach.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A tour walks through the README with ports and paths that are free here.
type tour struct {
	*testing.T
	server      *server
	nobody      bool              // everything runs as nobody
	there, back *strings.Replacer // from the README's to this machine's, and back
}

func newTour(t *testing.T) *tour {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // as /tmp is
		if err := os.Chmod(d, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
	}
	there, back := []string{"go run ./cmd/netserver", binary, "/tmp/", dir + "/"}, []string{dir + "/", "/tmp/"}
	for _, port := range []string{"20203", "20204", "20205", "8443"} {
		free := netservertest.FreePort(t)
		there, back = append(there, port, free), append(back, free, port)
	}
	if _, err := exec.LookPath("redis-server"); err == nil {
		backend := redis(t)
		there, back = append(there, "6379", backend), append(back, backend, "6379")
	}
	return &tour{T: t, there: strings.NewReplacer(there...), back: strings.NewReplacer(back...)}
}

// varying is what differs at each run: pattern and replacement in turn.
var varying = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`(pid|"netserver" )\(\d+\)`), "$1(PID)"},
	{regexp.MustCompile(`netserver:\d+:`), "netserver:PID:"},
	{regexp.MustCompile(`(identity of the serving processes): .*`), "$1"}, // of whom starts it, and of the kernel
	{regexp.MustCompile(`sha256\$[0-9a-f]{64}`), "SHA256"},
	{regexp.MustCompile(`\b(peer|client|time|connect|in|out)=\S+`), "$1=..."},
}

// same takes out of text what need not be as the README shows it.
func (tr *tour) same(text string) string {
	text = tr.back.Replace(strings.ReplaceAll(text, "\r", ""))
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.by)
	}
	return text
}

// serve replaces the running server, and waits for the log that is shown, which
// is all of it.
func (tr *tour) serve(s step) {
	if tr.server != nil {
		tr.server.stop()
	}
	cmd := exec.Command("sh", "-c", "exec "+tr.there.Replace(s.command))
	cmd.Env = serverEnvironment()
	if tr.nobody {
		asNobody(tr.T, cmd)
	}
	tr.server = startCmd(tr.T, cmd)
	tr.logs(s.output)
	want := tr.same(s.output)
	log, _ := tr.server.log.next()
	for line := range strings.Lines(log) {
		if !strings.Contains(want, tr.same(line)) && !strings.Contains(line, "private keys stay") { // that is for root
			tr.Errorf("the README lacks a line of the log: %s", line)
		}
	}
}

// logs waits until every line of want has been in the server's log.
func (tr *tour) logs(want string) {
	tr.Helper()
	for line := range strings.Lines(want) {
		tr.server.log.await(tr.T, tr.same(line), tr.server.ended, func(text string) bool {
			return strings.Contains(tr.same(text), tr.same(line))
		})
	}
}

// ask runs a command and compares its output.
func (tr *tour) ask(t *testing.T, s step) {
	for word := range strings.FieldsSeq(s.command) {
		switch word {
		case "openssl", "gnutls-cli", "nc", "socat":
			netservertest.Peer(t, word)
		case "redis-cli":
			netservertest.Peer(t, word)
			netservertest.Peer(t, "redis-server")
		case "perl":
			netservertest.PerlModule(t, "IO::Socket::SSL")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", tr.there.Replace(s.command))
	cmd.Env = serverEnvironment()
	if tr.nobody {
		asNobody(t, cmd)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) { // as go run reports it
		out = fmt.Appendf(out, "exit status %d\n", exit.ExitCode())
	}
	if got, want := tr.same(string(out)), tr.same(s.output); got != want {
		t.Errorf("$ %s\n%swant:\n%s", s.command, got, want)
	}
}

// The README's tour works as it is printed, for root and for others.
func TestReadmeTour(t *testing.T) {
	t.Run("this user", func(t *testing.T) { walkTour(t, false) })
	if os.Geteuid() == 0 {
		t.Run("nobody", func(t *testing.T) { walkTour(t, true) })
	}
}

func walkTour(t *testing.T, nobody bool) {
	netservertest.Peer(t, "sh")
	tr := newTour(t)
	tr.nobody = nobody
	_, blocks := readme(t)
	servers, asked := 0, 0
	for _, b := range blocks {
		switch b.kind {
		case "console server":
			servers++
			tr.serve(b.steps()[0])
		case "console log":
			tr.Run("log", func(t *testing.T) {
				netservertest.Peer(t, "redis-cli")
				netservertest.Peer(t, "redis-server")
				tr.logs(strings.Join(b.lines, ""))
			})
		case "console":
			for _, s := range b.steps() {
				asked++
				tr.Run(fmt.Sprintf("%d", asked), func(t *testing.T) { tr.ask(t, s) })
			}
		}
	}
	if servers != 3 || asked < 10 {
		t.Errorf("the tour has %d servers and %d other commands", servers, asked)
	}
	tr.server.stop()
}

// The README's program is the example that is compiled and run.
func TestReadmeExample(t *testing.T) {
	want, err := os.ReadFile("../../examples/hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, blocks := readme(t)
	for _, b := range blocks {
		if b.kind == "go" && strings.Join(b.lines, "") != string(want) {
			t.Errorf("the README's program is not examples/hello/main.go:\n%s", strings.Join(b.lines, ""))
		}
	}
	if !bytes.Contains(want, []byte("package main")) {
		t.Errorf("there is no program in it: %s", want)
	}
}

func TestReadmeCommands(t *testing.T) {
	_, blocks := readme(t)
	for _, b := range blocks {
		if b.kind == "sh" {
			if got := strings.Join(b.lines, ""); got != "go run ./cmd/netserver\ngo test ./...\n" {
				t.Errorf("the two commands are %q", got)
			}
			return
		}
	}
	t.Error("there are no commands")
}

// What the table says works is known to the command.
func TestReadmeTableIsTrue(t *testing.T) {
	text, _ := readme(t)
	_, table, ok := strings.Cut(text, "| | works |\n")
	if !ok {
		t.Fatal("no table of what works")
	}
	help := run(t, binary, "--help", "all").all()
	name := regexp.MustCompile("`([A-Za-z_]+)`")
	checked := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			break
		}
		types := strings.Contains(cells[1], "server types")
		for _, m := range name.FindAllStringSubmatch(cells[2], -1) {
			checked++
			switch {
			case m[1] == "SSL_":
			case types:
				run(t, binary, m[1], "--check", "--port", "0").all()
			case !strings.Contains(help, "\n  --"+m[1]+" ") && !strings.Contains(help, "\n  --"+m[1]+"\n"):
				t.Errorf("%s is not in --help", m[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d names in the table", checked)
	}
}

// Links lead to files that are there.
func TestReadmeLinks(t *testing.T) {
	text, _ := readme(t)
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 8 {
		t.Errorf("only %d links", len(links))
	}
	for _, m := range links {
		if _, err := os.Stat("../../" + m[1]); err != nil && !strings.Contains(m[1], "://") {
			t.Error(err)
		}
	}
}
