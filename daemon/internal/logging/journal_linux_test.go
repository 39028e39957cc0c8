package logging

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A fakeJournal takes entries as systemd's journal does: datagrams, and files in
// memory that come with an empty one.
type fakeJournal struct {
	*net.UnixConn
	t *testing.T
}

func newFakeJournal(t *testing.T, socket string) *fakeJournal {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &fakeJournal{c, t}
}

// next returns the next entry, and whether it came in a file.
func (j *fakeJournal) next() (entry string, filed bool) {
	j.t.Helper()
	j.SetReadDeadline(time.Now().Add(time.Minute))
	b, oob := make([]byte, 1<<20), make([]byte, 256)
	n, on, _, _, err := j.ReadMsgUnix(b, oob)
	if err != nil {
		j.t.Fatal(err)
	}
	if on == 0 {
		return string(b[:n]), false
	}
	m, err := syscall.ParseSocketControlMessage(oob[:on])
	if err != nil || len(m) != 1 {
		j.t.Fatal(m, err)
	}
	fds, err := syscall.ParseUnixRights(&m[0])
	if err != nil || len(fds) != 1 {
		j.t.Fatal(fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EPERM) {
		j.t.Errorf("the file is not sealed: %v", err)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		j.t.Fatal(err)
	}
	return string(text), true
}

// An entry has the fields of its connection, nothing of which ends a field; one
// that is too large for a datagram comes in a file; a journal that was away gets
// what it missed.
func TestJournalEntries(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "journal")
	j := newFakeJournal(t, socket)
	w := newJournalWriter(socket, "", 3)
	defer w.Close()
	const fixed = "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=net_server\n"
	for line, want := range map[string]string{
		`{"event":"connection","in":2,"resumed":true,"out":null,"sni":"a\u000aMESSAGE=b\u001b","notes":{"a":"b"},"A=B":"c"}` + "\tid=1 x": "MESSAGE=id=1 x\nNETSERVER_EVENT=connection\nNETSERVER_IN=2\nNETSERVER_RESUMED=1\nNETSERVER_SNI=a%0AMESSAGE=b%1B\n" + `NETSERVER_NOTES={"a":"b"}` + "\n",
		`{"event":"request","status":200}`: `MESSAGE={"event":"request","status":200}` + "\nNETSERVER_EVENT=request\nNETSERVER_STATUS=200\n",
		`127.0.0.1 "GET / HTTP/1.0" 200`:   `MESSAGE=127.0.0.1 "GET / HTTP/1.0" 200` + "\nNETSERVER_EVENT=request\n",
		`{\x22a\x22} x`:                    `MESSAGE={\x22a\x22} x` + "\nNETSERVER_EVENT=request\n",
	} {
		if _, err := w.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
		if got, _ := j.next(); got != fixed+want {
			t.Errorf("%s:\n%s\nnot\n%s", line, got, fixed+want)
		}
	}

	if err := w.conn.SetWriteBuffer(8 << 10); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 60<<10)
	if _, err := w.Write([]byte(long + "\nshort\n")); err != nil {
		t.Fatal(err)
	}
	if got, filed := j.next(); !filed || got != fixed+"MESSAGE="+long+"\nNETSERVER_EVENT=request\n" {
		t.Errorf("filed %v, %d bytes", filed, len(got))
	}
	if got, filed := j.next(); filed || !strings.Contains(got, "=short\n") {
		t.Errorf("filed %v, %q", filed, got)
	}

	j.Close()
	os.Remove(socket)
	done := make(chan error, 1)
	go func() {
		_, err := w.Write([]byte("missed\n"))
		done <- err
	}()
	j = newFakeJournal(t, socket)
	if got, _ := j.next(); !strings.Contains(got, "=missed\n") {
		t.Errorf("%q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}

	j.Close()
	os.Remove(socket)
	go w.Close()
	if n, err := w.Write([]byte("never\n")); n != 0 || err == nil {
		t.Error(n, err)
	}
}
