package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A slowLog is a log that can hang, fail, or take only a part.
type slowLog struct {
	entered chan struct{} // has something when a Write has begun; may be nil
	open    chan struct{} // a Write waits until it is closed; may be nil

	mu    sync.Mutex
	b     bytes.Buffer
	sizes []int
	room  int   // bytes that fit, if err is set
	err   error // what Write says when the room is used up
}

func (w *slowLog) Write(b []byte) (int, error) {
	if w.entered != nil {
		select {
		case w.entered <- struct{}{}:
		default:
		}
	}
	if w.open != nil {
		<-w.open
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sizes = append(w.sizes, len(b))
	if w.err == nil {
		return w.b.Write(b)
	}
	n := min(w.room, len(b))
	w.room -= n
	w.b.Write(b[:n])
	if n < len(b) {
		return n, w.err
	}
	return n, nil
}

func (w *slowLog) set(room int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room, w.err = room, err
}

func (w *slowLog) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func flush(t *testing.T, a *Async) {
	t.Helper()
	if err := a.Flush(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func closeAsync(t *testing.T, a *Async) {
	t.Helper()
	if err := a.Close(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAsyncKeepsOrderAndWholeRecords(t *testing.T) {
	w := new(slowLog)
	a := NewAsync(w, 0, nil)
	var want strings.Builder
	for i := range 5000 {
		line := fmt.Sprintf("record %d %s\n", i, strings.Repeat("x", i%50))
		want.WriteString(line)
		if n, err := a.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	huge := strings.Repeat("y", 3*maxBatch) + "\n"
	want.WriteString(huge)
	fmt.Fprint(a, huge)
	closeAsync(t, a)
	if w.text() != want.String() {
		t.Errorf("got %d bytes, want %d", len(w.text()), want.Len())
	}
	at := 0
	for _, n := range w.sizes {
		at += n
		if w.text()[at-1] != '\n' {
			t.Fatalf("a write ends within a record, at byte %d", at)
		}
		if n > maxBatch && n != len(huge) {
			t.Fatalf("a write of %d bytes", n)
		}
	}
}

// A reader that hangs costs records, but neither memory nor time; when it
// reads again it is told.
func TestAsyncFullQueue(t *testing.T) {
	w := &slowLog{entered: make(chan struct{}, 1), open: make(chan struct{})}
	a := NewAsync(w, 100, nil)
	fmt.Fprint(a, "first\n")
	<-w.entered // it hangs now, and the queue is empty
	line := strings.Repeat("x", 24) + "\n"
	for range 10 { // four fit
		if n, err := fmt.Fprint(a, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := a.Lost(); got != 6 {
		t.Errorf("%d lost, want 6", got)
	}
	close(w.open)
	flush(t, a)
	fmt.Fprint(a, "after\n")
	closeAsync(t, a)

	l := strings.SplitAfter(w.text(), "\n")
	if len(l) != 8 || l[0] != "first\n" || l[1] != line || l[4] != line || l[6] != "after\n" {
		t.Fatalf("got %q", l)
	}
	if !strings.HasSuffix(l[5], ` log records were lost lost=6 err="logged faster than the log can be written"`+"\n") {
		t.Errorf("report: %q", l[5])
	}
	if got := a.Lost(); got != 6 {
		t.Errorf("%d lost in the end, want 6", got)
	}
}

// A full disk may take a part of a record. The next one must not go on there.
func TestAsyncFullDisk(t *testing.T) {
	w := new(slowLog)
	a := NewAsync(w, 0, NewJSON)
	fmt.Fprint(a, "whole\n")
	flush(t, a)
	w.set(3, syscall.ENOSPC)
	fmt.Fprint(a, "torn off\n")
	flush(t, a)
	fmt.Fprint(a, "lost\n")
	fmt.Fprint(a, "lost\n")
	flush(t, a)
	w.set(0, nil)
	fmt.Fprint(a, "good\n")
	fmt.Fprint(a, "again\n")
	closeAsync(t, a)

	l := strings.SplitAfter(w.text(), "\n")
	if len(l) != 6 || l[0] != "whole\n" || l[1] != "tor\n" || l[3] != "good\n" || l[4] != "again\n" {
		t.Fatalf("got %q", l)
	}
	if !strings.Contains(l[2], `"lost":3,"err":"no space left on device"`) || !strings.HasPrefix(l[2], "{") {
		t.Errorf("report: %q", l[2])
	}
	if got := a.Lost(); got != 3 {
		t.Errorf("%d lost, want 3", got)
	}
}

// What was lost is told when writing works again, even if nothing is logged
// then, and at the end.
func TestAsyncReportsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(slowLog)
		a := NewAsync(w, 0, nil)
		w.set(0, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
		fmt.Fprint(a, "lost\n")
		synctest.Wait()
		time.Sleep(2 * reportAgain)
		if w.text() != "" {
			t.Fatalf("got %q", w.text())
		}
		w.set(0, nil)
		time.Sleep(2 * reportAgain)
		const report = " log records were lost lost=1 err=\"no space left on device\"\n"
		if got := w.text(); strings.Count(got, report) != 1 {
			t.Errorf("got %q", got)
		}
		w.set(0, syscall.ENOSPC)
		fmt.Fprint(a, "lost\n")
		synctest.Wait()
		w.set(0, nil)
		closeAsync(t, a)
		if got := w.text(); strings.Count(got, report) != 2 {
			t.Errorf("got %q", got)
		}
	})
}

// A short write without an error is a loss too.
func TestAsyncShortWrite(t *testing.T) {
	w := new(slowLog)
	short := writerFunc(func(b []byte) (int, error) { n, _ := w.Write(b[:1]); return n, nil })
	a := NewAsync(short, 0, nil)
	fmt.Fprint(a, "abc\n")
	closeAsync(t, a)
	if a.Lost() != 1 {
		t.Errorf("%d lost, want 1", a.Lost())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestAsyncFlushAndCloseAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &slowLog{entered: make(chan struct{}, 1), open: make(chan struct{})}
		a := NewAsync(w, 0, nil)
		fmt.Fprint(a, "one\n")
		<-w.entered
		fmt.Fprint(a, "two\n")
		for _, f := range []func(context.Context) error{a.Flush, a.Close} {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			begin := time.Now()
			err := f(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "4 bytes queued") {
				t.Error(err)
			}
			if d := time.Since(begin); d != 3*time.Second {
				t.Errorf("took %v", d)
			}
		}
		if err := a.Close(context.Background()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if a.Lost() != 1 {
			t.Errorf("%d lost, want the one that Close left behind", a.Lost())
		}
		if _, err := fmt.Fprint(a, "late\n"); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		close(w.open)
		<-a.done // synctest reports it if the goroutine never ends
	})
}

func TestAsyncWriteNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &slowLog{open: make(chan struct{})}
		a := NewAsync(w, 1000, nil)
		log := slog.New(NewLine(a, Options{}))
		for range 1000 { // would deadlock the bubble if one waited
			log.Error("m")
		}
		if a.Lost() < 900 {
			t.Errorf("%d lost", a.Lost())
		}
		close(w.open)
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAsyncManyWritersAndFlushers(t *testing.T) {
	before := runtime.NumGoroutine()
	w := new(slowLog)
	a := NewAsync(w, 64<<10, nil)
	var wg sync.WaitGroup
	const workers, each = 8, 500
	for range workers {
		wg.Go(func() {
			for i := range each {
				fmt.Fprintf(a, "a record of some length\n")
				if i%50 == 0 {
					a.Flush(context.Background())
				}
			}
		})
	}
	wg.Wait()
	closeAsync(t, a)
	text := w.text()
	whole := strings.Count(text, "a record of some length\n")
	if uint64(whole)+a.Lost() != workers*each {
		t.Errorf("%d written, %d lost, want %d together", whole, a.Lost(), workers*each)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a goroutine is left")
		}
	}
}

func TestAsyncAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a := NewAsync(discard{}, 0, nil)
	defer a.Close(context.Background())
	line := []byte(strings.Repeat("x", 200) + "\n")
	for range 100 { // both buffers grow to what a burst needs
		a.Write(line)
	}
	flush(t, a)
	if n := testing.AllocsPerRun(1000, func() { a.Write(line) }); n >= 1 {
		t.Errorf("%v allocations for a record", n)
	}
}
