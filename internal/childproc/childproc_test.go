package childproc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMain makes the test binary its own child.
func TestMain(m *testing.M) {
	part, err := TakePart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	if part != nil {
		os.Exit(child(part))
	}
	os.Exit(m.Run())
}

func child(p *Part) int {
	switch p.Role {
	case "echo":
		for {
			msg, files, err := p.Link.Receive(1 << 20)
			if err == io.EOF {
				return 0
			}
			if err != nil || p.Link.Send(append([]byte("re: "), msg...), files...) != nil {
				return 4
			}
			closeFiles(files)
		}
	case "files":
		var b bytes.Buffer
		for _, f := range p.Files {
			io.Copy(&b, f)
		}
		p.Link.Send(b.Bytes())
	case "sleep":
		p.Link.Receive(1)
	}
	return 0
}

func start(t *testing.T, role string, files ...*os.File) *Child {
	t.Helper()
	b, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := Start{Binary: b, Role: role, Args: os.Args[:1], Env: os.Environ(), Files: files, Stderr: os.Stderr, TakesFiles: true}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Link.Close() })
	return c
}

func TestLinkCarriesMessagesAndFiles(t *testing.T) {
	c := start(t, "echo")
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big := strings.Repeat("x", 900_000) // more than a socket's buffer
	for _, want := range []string{"hello", "", big} {
		sent := make(chan error, 1)
		go func() { sent <- c.Link.Send([]byte(want), f, f) }()
		msg, files, err := c.Link.Receive(1 << 20)
		if string(msg) != "re: "+want || len(files) != 2 || err != nil {
			t.Fatalf("%d bytes, %d files, %v", len(msg), len(files), err)
		}
		for _, f := range files {
			f.Seek(0, io.SeekStart)
			if b, err := io.ReadAll(f); string(b) != "content" || err != nil {
				t.Errorf("file: %q, %v", b, err)
			}
		}
		closeFiles(files)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	c.Link.Close()
	if why := c.Wait(); why != "" {
		t.Errorf("child: %s", why)
	}
}

func TestLinkRefusesLongMessages(t *testing.T) {
	c := start(t, "echo")
	if err := c.Link.Send(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Link.Receive(50); !errors.Is(err, ErrTooLong) {
		t.Errorf("error: %v", err)
	}
	c.Kill()
	if why := c.Wait(); !strings.Contains(why, "killed") {
		t.Errorf("ended with %q", why)
	}
	if _, _, err := c.Link.Receive(1 << 20); err == nil {
		t.Error("a message after the end")
	}
}

func TestDeathIsEndOfFile(t *testing.T) {
	c := start(t, "sleep")
	c.Kill()
	if _, _, err := c.Link.Receive(10); err != io.EOF {
		t.Errorf("error: %v", err)
	}
	c.Wait()
	if err := c.Kill(); err != nil {
		t.Errorf("kill after the end: %v", err)
	}
}

func TestChildInheritsFilesAlone(t *testing.T) {
	var files []*os.File
	for i := range 6 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, i)
		w.Close()
		defer r.Close()
		files = append(files, r)
	}
	c := start(t, "files", files...)
	msg, _, err := c.Link.Receive(100)
	if string(msg) != "012345" || err != nil {
		t.Errorf("got %q, %v", msg, err)
	}
	c.Wait()
}

func TestTakePartRefuses(t *testing.T) {
	for _, v := range []string{"x", "x/", "x/-1", "x/99999999"} {
		t.Setenv(RoleVar, v)
		if p, err := TakePart(); err == nil {
			t.Errorf("%q: %+v", v, p)
		}
		if _, ok := os.LookupEnv(RoleVar); ok {
			t.Error("the variable is left for children")
		}
	}
}

func TestBinarySurvivesReplacement(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can")
	}
	name := filepath.Join(t.TempDir(), "program")
	write := func(content string) {
		t.Helper()
		os.Remove(name)
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	b, err := openBinary(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	write("two")
	n, err := openBinary(name)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got, _ := os.ReadFile(b.path); string(got) != "one" {
		t.Errorf("executes %q", got)
	}
	if b.Same(n) || !n.Same(n) {
		t.Error("Same does not tell them apart")
	}
}
