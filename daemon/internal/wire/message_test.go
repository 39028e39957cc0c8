//go:build unix

package wire

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"testing"

	"netserver/internal/childproc"
	"netserver/internal/control"
)

// links returns both ends of a link.
func links(t *testing.T) (a, b *childproc.Link) {
	t.Helper()
	a, f, err := childproc.NewLink()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Cleanup(func() { a.Close() })
	if b, err = childproc.LinkOf(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// What one end sends the other receives, up to a length; and what is no message
// is an error, not an empty one.
func TestMessagesGoOverALink(t *testing.T) {
	a, b := links(t)
	if err := Send(a, Message{Op: OpReady, Echoes: true, Lines: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	if m, err := ReceiveFrom(b, 1000, Peer{}); err != nil || m.Op != OpReady || !m.Echoes || m.Lines[0] != "x" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := Send(b, Message{Op: OpData, ID: 3, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if m, err := Receive(a, 1000); err != nil || m.Op != OpData || m.ID != 3 || string(m.Data) != "x" {
		t.Errorf("%+v, %v", m, err)
	}
	bad := math.NaN()
	if err := Send(a, Message{Op: OpAnswer, Answer: &Answer{Limits: []control.Limit{{Value: &bad}}}}); err == nil {
		t.Error("what JSON cannot say was sent")
	}
	for _, text := range []string{"{", "[]", `{"Op":5}`} {
		a.Send([]byte(text))
		if m, err := Receive(b, 1000); err == nil {
			t.Errorf("%s: %+v", text, m)
		}
		a.Send([]byte(text))
		if m, err := ReceiveFrom(b, 1000, Peer{}); err == nil {
			t.Errorf("%s from a worker: %+v", text, m)
		}
	}
	a.Close()
	if m, err := Receive(b, 1000); err == nil {
		t.Errorf("of a link that has ended: %+v", m)
	}
	if m, err := ReceiveFrom(b, 1000, Peer{}); err == nil {
		t.Errorf("of a link that has ended: %+v", m)
	}
}

// The error of a file is the same one on the other side.
func TestErrorsOfFilesGoOverALink(t *testing.T) {
	for _, err := range []error{fs.ErrNotExist, fs.ErrPermission, errors.New("disk is on fire")} {
		given := &fs.PathError{Op: "open", Path: "/a", Err: err}
		back := FileError("/a", FailureText(given))
		if back == nil || back.Error() != given.Error() {
			t.Errorf("%v came back as %v", given, back)
		}
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) && !errors.Is(back, err) {
			t.Errorf("%v is not %v", back, err)
		}
	}
	if err := FileError("/a", FailureText(nil)); err != nil {
		t.Error(err)
	}
	if _, err := os.Open("/nowhere/at all"); FailureText(err) != "missing" {
		t.Error(FailureText(err))
	}
	if s := FailureText(errors.New("plain")); s != "plain" {
		t.Error(s)
	}
}
