package httpd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"

	"netserver/proto"
)

// net/http answers bad requests by itself, and tells nobody. What it writes
// before there is a request, or as the last frame of an HTTP/2 connection, says
// why it ends.

// sniffStatus notes an answer that net/http wrote although there was no whole
// request, or one that it does not pass on, as OPTIONS * and those that expect
// what it does not know.
func (hc *conn) sniffStatus(b []byte) {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	version, status, ok := bytes.Cut(line, []byte(" "))
	if !ok || !bytes.HasPrefix(version, []byte("HTTP/1.")) || hc.failed.Load() {
		return
	}
	code, _, _ := bytes.Cut(status, []byte(" "))
	n, _ := strconv.Atoi(string(code))
	if n < http.StatusBadRequest {
		hc.requests.Add(1)
		hc.phase.Store(phaseHandler)
	} else {
		hc.fail(fmt.Errorf("%w, answered with %s", proto.ErrBadRequest, status))
		hc.failed.Store(true)
	}
	if refused := hc.s.h.Refused; refused != nil {
		head := len(b)
		if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
			head = i + len("\r\n\r\n")
		}
		refused(hc.c, n, int64(len(b)-head), int64(head))
	}
}

// goAway is a GOAWAY frame of net/http up to the number of the last stream.
var goAway = []byte{0, 0, 8, 7, 0, 0, 0, 0, 0}

// sniffGoAway notes the error of a GOAWAY frame at the end of b.
func (hc *conn) sniffGoAway(b []byte) {
	const size = 17
	if len(b) < size || !bytes.Equal(b[len(b)-size:][:len(goAway)], goAway) {
		return
	}
	hc.goneAway.Store(true)
	if code := binary.BigEndian.Uint32(b[len(b)-4:]); code != 0 {
		hc.fail(fmt.Errorf("%w: HTTP/2 was ended with %s", proto.ErrBadRequest, errorCode(code)))
	}
}

// sniffSilence notes that net/http has ended an HTTP/2 connection without a word,
// as it does if the client does not begin as it should.
func (hc *conn) sniffSilence() {
	if hc.h2 && hc.requests.Load() == 0 && !hc.failed.Load() && !hc.goneAway.Load() && !hc.s.draining() {
		hc.fail(fmt.Errorf("%w: no preface and SETTINGS of HTTP/2, or too much to answer", proto.ErrBadRequest))
	}
}

// errorCode returns the name of an error code (RFC 9113, section 7).
func errorCode(code uint32) string {
	names := [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
		"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}
	if code < uint32(len(names)) {
		return names[code]
	}
	return fmt.Sprintf("error %d", code)
}
