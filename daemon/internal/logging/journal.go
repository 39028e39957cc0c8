package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"netserver/logs"
)

// defaultJournal is where systemd's journal takes entries with fields.
const defaultJournal = "/run/systemd/journal/socket"

// journalPrefixed begins the names of all fields of the access log.
const journalPrefixed = "NETSERVER_"

const (
	journalSend  = 10 * time.Second // for one that does not read, or is being restarted
	journalAgain = 100 * time.Millisecond
	// maxJournalFields bounds an entry that a process has made up.
	maxJournalFields = 64
	maxJournalName   = 40
)

// A journalWriter sends the lines of the access log to the journal in its own
// protocol, each an entry with fields. While the journal is away Write waits for
// ten seconds, and then says why it cannot write. Write is for one goroutine;
// Close may be called at any time.
type journalWriter struct {
	socket string
	fixed  []byte // the fields of every entry

	ctx    context.Context // cancelled by Close
	cancel context.CancelFunc

	mu   sync.Mutex // of conn, as Close closes it
	conn *net.UnixConn
	buf  []byte
}

func newJournalWriter(socket, ident string, facility int) *journalWriter {
	if ident == "" {
		ident = logs.DefaultSyslogIdent
	}
	w := &journalWriter{socket: socket, fixed: fmt.Appendf(nil, "PRIORITY=6\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\n", facility, ident)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Write sends lines, each with its end.
func (w *journalWriter) Write(lines []byte) (int, error) {
	n := 0
	for n < len(lines) {
		line, next := lines[n:], len(lines)-n
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], i+1
		}
		w.buf = appendEntry(append(w.buf[:0], w.fixed...), line)
		if err := w.send(w.buf); err != nil {
			return n, err
		}
		n += next
	}
	return n, nil
}

// send sends an entry, and connects again where that helps.
func (w *journalWriter) send(entry []byte) error {
	end := time.Now().Add(journalSend)
	for {
		err := w.connect()
		if err == nil {
			w.conn.SetWriteDeadline(end)
			if err = sendEntry(w.conn, entry); err == nil {
				return nil
			}
			w.drop()
		}
		if w.ctx.Err() != nil {
			return fmt.Errorf("journal: %w", os.ErrClosed)
		}
		if time.Until(end) < journalAgain {
			return err
		}
		t := time.NewTimer(journalAgain)
		select {
		case <-t.C:
		case <-w.ctx.Done():
			t.Stop()
		}
	}
}

// connect connects, unless it is connected.
func (w *journalWriter) connect() error {
	if w.conn != nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: w.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = c
	if w.ctx.Err() != nil {
		c.Close()
	}
	return nil
}

func (w *journalWriter) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.Close()
	w.conn = nil
}

// Close closes the connection, and ends a Write that waits.
func (w *journalWriter) Close() error {
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.Close()
	}
	return nil
}

// appendEntry adds what an entry says of a line. One of a connection begins with
// an object of its fields and, unless the object is the line, a tab: each field
// becomes one of the entry. Any other line is that of a request.
func appendEntry(b, line []byte) []byte {
	object, message := cutObject(line)
	if object == nil {
		b = appendJournal(b, "MESSAGE", string(line))
		return appendJournal(b, journalPrefixed+"EVENT", "request")
	}
	b = appendJournal(b, "MESSAGE", string(message))
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	d.Token() // the brace
	for n := 0; n < maxJournalFields && d.More(); n++ {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			break
		}
		if text := journalText(value); text != "" && isFieldName(name) {
			b = appendJournal(b, journalPrefixed+strings.ToUpper(name), text)
		}
	}
	return b
}

// cutObject takes a line apart into an object and the message. A line that does
// not begin with an object has none.
func cutObject(line []byte) (object, message []byte) {
	if len(line) == 0 || line[0] != '{' {
		return nil, line
	}
	d := json.NewDecoder(bytes.NewReader(line))
	var v json.RawMessage
	if d.Decode(&v) != nil {
		return nil, line
	}
	rest := line[d.InputOffset():]
	switch {
	case len(rest) == 0:
		return v, line
	case rest[0] == '\t':
		return v, rest[1:]
	}
	return nil, line
}

// isFieldName reports whether a name can be that of a field.
func isFieldName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= maxJournalName
}

// journalText returns the text of a value: true is 1, and null is nothing. An
// object stays what it is.
func journalText(v json.RawMessage) string {
	var s string
	switch {
	case len(v) > 0 && v[0] == '"':
		if json.Unmarshal(v, &s) != nil {
			return ""
		}
		return s
	case string(v) == "true":
		return "1"
	case string(v) == "null", string(v) == "false":
		return ""
	}
	return string(v)
}

// appendJournal adds a field. All that is not printable ASCII is %HH, as in the
// log: no viewer shows a terminal what a client has sent, and no value ends its
// field.
func appendJournal(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, '=')
	for i := range len(value) {
		if c := value[i]; c >= ' ' && c <= '~' {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "%%%02X", c)
		}
	}
	return append(b, '\n')
}
