package accesslog

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"netserver"
	"netserver/handler/httpd/cgi"
)

// A Log writes a line for each request that it passes on. It may be used by any
// number of requests at once.
type Log struct {
	// Format is what lines are made of. Required.
	Format *Format
	// Write gets each line with its end. It may be called by several requests at
	// once, and should not wait for a disk: the client's next request waits for
	// it. It must not keep the line.
	Write func(line []byte)
	// Origin is what %{NAME}e shows of the server.
	Origin cgi.Origin
}

// Handler returns a handler that has next answer, and writes the lines.
func (l *Log) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, _ = cgi.WithState(r)
		rec := &recorder{ResponseWriter: w, r: r}
		begin := time.Now()
		defer func() { l.write(rec, begin) }()
		next.ServeHTTP(rec, r)
		rec.done = true
	})
}

// write writes the line of a request.
func (l *Log) write(rec *recorder, begin time.Time) {
	e := entry{r: rec.r, origin: &l.Origin, begin: begin, took: time.Since(begin),
		status: rec.status, size: rec.size, header: rec.header, sent: rec.status != 0}
	switch {
	case e.status != 0:
	case rec.hijacked:
		e.status, e.sent = http.StatusSwitchingProtocols, true
	case rec.done: // nothing was written: net/http says that all went well
		e.status, e.sent = http.StatusOK, true
		rec.begin(e.status, nil)
		e.header = rec.header
	default:
		e.status = http.StatusInternalServerError
	}
	if e.sent && !rec.hijacked {
		e.head = rec.headSize(e.status)
	}
	l.Write(append(l.Format.append(make([]byte, 0, 256), &e), '\n'))
}

// Refused writes the line of a request that net/http has refused by itself, and
// answered with a status; it is for httpd.Handler.Refused. Of the request nothing
// is known but its client.
func (l *Log) Refused(c *netserver.Conn, status int, size, head int64) {
	e := entry{c: c, origin: &l.Origin, begin: time.Now(), status: status, size: size, head: head, sent: true}
	l.Write(append(l.Format.append(make([]byte, 0, 256), &e), '\n'))
}

// A recorder notes what an answer is.
type recorder struct {
	http.ResponseWriter
	r *http.Request

	status   int
	size     int64       // of the body that was sent
	written  int64       // by the handler
	header   http.Header // as it was sent
	done     bool        // the handler has returned
	flushed  bool
	hijacked bool
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// begin notes the status, and adds what net/http would add to the headers. body
// is the start of the body, if that is known.
func (rec *recorder) begin(status int, body []byte) {
	if rec.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	h := rec.ResponseWriter.Header()
	if _, ok := h["Date"]; !ok {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	_, typed := h["Content-Type"]
	if !typed && len(body) > 0 && h.Get("Content-Encoding") == "" && bodyAllowed(status) {
		h.Set("Content-Type", http.DetectContentType(body))
	}
	rec.status, rec.header = status, h.Clone()
}

// WriteHeader notes the status.
func (rec *recorder) WriteHeader(status int) {
	rec.begin(status, nil)
	rec.ResponseWriter.WriteHeader(status)
}

// Write counts the body.
func (rec *recorder) Write(b []byte) (int, error) {
	rec.begin(http.StatusOK, b)
	n, err := rec.ResponseWriter.Write(b)
	rec.wrote(int64(n))
	return n, err
}

// ReadFrom copies a body, by the kernel where that can be.
func (rec *recorder) ReadFrom(src io.Reader) (int64, error) {
	rf, ok := rec.ResponseWriter.(io.ReaderFrom)
	if !ok || rec.status == 0 {
		return io.Copy(struct{ io.Writer }{rec}, src)
	}
	n, err := rf.ReadFrom(src)
	rec.wrote(n)
	return n, err
}

// wrote counts bytes of the body: none of an answer to HEAD, of which net/http
// takes the body and does not send it.
func (rec *recorder) wrote(n int64) {
	rec.written += n
	if rec.r.Method != http.MethodHead {
		rec.size += n
	}
}

// Flush sends what waits.
func (rec *recorder) Flush() { rec.FlushError() }

// FlushError sends what waits.
func (rec *recorder) FlushError() error {
	rec.begin(http.StatusOK, nil)
	rec.flushed = true
	return http.NewResponseController(rec.ResponseWriter).Flush()
}

// Hijack gives the connection to the caller.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(rec.ResponseWriter).Hijack()
	rec.hijacked = err == nil
	return nc, rw, err
}

// unchunked is how much net/http gathers before it gives up to know the length.
const unchunked = 2048

// headSize is the size of the answer's head, as net/http has it over HTTP/1.
func (rec *recorder) headSize(status int) int64 {
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	n := int64(len("HTTP/1.1 200 ")+len(text)+len("\r\n\r\n")) + headerSize(rec.header)
	is11 := rec.r.ProtoAtLeast(1, 1)
	head := rec.r.Method == http.MethodHead
	allowed := bodyAllowed(status)
	length := rec.header.Get("Content-Length")
	switch {
	case length != "" || !allowed:
	case rec.done && !rec.flushed && rec.written <= unchunked && (!head || rec.written > 0):
		length = strconv.FormatInt(rec.written, 10)
		n += int64(len("Content-Length: \r\n") + len(length))
	case is11 && !head:
		n += int64(len("Transfer-Encoding: chunked\r\n"))
	}
	_, connection := rec.header["Connection"]
	asked := strings.ToLower(rec.r.Header.Get("Connection"))
	switch {
	case connection:
	case is11 && asked == "close":
		n += int64(len("Connection: close\r\n"))
	case !is11 && asked == "keep-alive" && (length != "" || head || !allowed):
		n += int64(len("Connection: keep-alive\r\n"))
	}
	return n
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
