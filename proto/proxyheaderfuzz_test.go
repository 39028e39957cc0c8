package proto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// FuzzProxyHeader reads headers, never more than them, and the same with and
// without a look before. What go-proxyproto reads must mean the same here, and
// what it writes of that must be read again.
func FuzzProxyHeader(f *testing.F) {
	for _, tc := range goodHeaders {
		f.Add([]byte(tc.header + "payload"))
	}
	for _, tc := range badHeaders {
		f.Add([]byte(tc.header))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &bytesConn{r: bytes.NewReader(data)}
		h, err := ReadProxyHeader(c)
		taken, length := len(data)-c.r.Len(), headerLength(data)
		if taken > length || err == nil && taken != length {
			t.Fatalf("took %d of a header of %d bytes: %v", taken, length, err)
		}
		again(t, data, h, err, length)
		passOn(t, h, err)
		compare(t, data, h, err)
	})
}

// headerLength returns how many bytes of b may be taken: a header, or as many
// as show that it is none.
func headerLength(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte(proxyV1Sign)):
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return min(i+1, proxyV1Max)
		}
		return proxyV1Max
	case bytes.HasPrefix(b, []byte(proxyV2Sign)) && len(b) >= proxyV2Head:
		return proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
	}
	return proxyV2Head
}

// again reads with a look before.
func again(t *testing.T, data []byte, h *ProxyHeader, err error, length int) {
	c := &bytesConn{r: bytes.NewReader(data)}
	p := Peekable(c)
	match, perr := PeekProxyHeader(p)
	if perr != nil || len(data)-c.r.Len() > len(proxyV2Sign) {
		t.Fatalf("the look: %v, %d bytes", perr, len(data)-c.r.Len())
	}
	if match != ProxyFound {
		if err == nil {
			t.Fatal("the look found nothing")
		}
		return
	}
	h2, err2 := ReadProxyHeader(p)
	if fmt.Sprint(h, err) != fmt.Sprint(h2, err2) {
		t.Fatalf("%+v, %v; after a look %+v, %v", h, err, h2, err2)
	}
	if len(data)-c.r.Len() > length {
		t.Fatalf("after a look: took %d bytes of %d", len(data)-c.r.Len(), length)
	}
}

// passOn writes what was read, in both versions, and reads it again.
func passOn(t *testing.T, h *ProxyHeader, err error) {
	if err != nil {
		return
	}
	_, sums := h.TLV(ProxyTLVCRC32C)
	for _, version := range []int{1, 2} {
		out := *h
		out.Version = version
		b, err := out.AppendTo(nil)
		if err != nil {
			if version == 1 && strings.Contains(err.Error(), "datagrams") {
				continue
			}
			t.Fatalf("%s: version %d: %v", told(h), version, err)
		}
		c := &bytesConn{r: bytes.NewReader(b)}
		h2, err := ReadProxyHeader(c)
		switch {
		case err != nil || c.r.Len() > 0:
			t.Fatalf("%q of %s: %v, %d bytes left", b, told(h), err, c.r.Len())
		case version == 1 && h2.Local && (h.Local || h.Source.Network() == "unix"):
		case told(h) != told(h2):
			t.Fatalf("%s; written and read %s", told(h), told(h2))
		case version == 2 && !sums && !bytes.Equal(h.tlvs, h2.tlvs):
			t.Fatalf("TLVs %q; written and read %q", h.tlvs, h2.tlvs)
		}
	}
}

// compare asks go-proxyproto.
func compare(t *testing.T, data []byte, h *ProxyHeader, err error) {
	theirs, terr := proxyproto.Read(bufio.NewReader(bytes.NewReader(data)))
	if terr != nil {
		return
	}
	tlvs, tlvErr := theirs.TLVs()
	if err != nil {
		// We also check what is in TLVs.
		if tlvErr == nil && len(tlvs) == 0 {
			t.Fatalf("refused: %v; go-proxyproto read %+v", err, theirs)
		}
		return
	}
	if h.Local != theirs.Command.IsLocal() || int(theirs.Version) != h.Version {
		t.Fatalf("%+v; go-proxyproto read %+v", h, theirs)
	}
	if h.Local {
		return
	}
	if abstract := strings.HasPrefix(h.Source.String(), "@") || strings.HasPrefix(h.Destination.String(), "@"); !abstract &&
		told(h) != told(&ProxyHeader{Source: theirs.SourceAddr, Destination: theirs.DestinationAddr}) {
		t.Fatalf("%s; go-proxyproto read %+v", told(h), theirs)
	}
	n := 0
	for kind, v := range h.TLVs() {
		if n == len(tlvs) || byte(tlvs[n].Type) != kind || kind != ProxyTLVNoop && !bytes.Equal(tlvs[n].Value, v) {
			t.Fatalf("TLV %d: %d %q; go-proxyproto: %+v", n, kind, v, tlvs)
		}
		n++
	}
	roundTrip(t, h, theirs)
}

func roundTrip(t *testing.T, h *ProxyHeader, theirs *proxyproto.Header) {
	b, err := theirs.Format()
	if err != nil {
		t.Fatal(err)
	}
	h2, err := ReadProxyHeader(&bytesConn{r: bytes.NewReader(b)})
	if err != nil {
		if _, sum := h.TLV(ProxyTLVCRC32C); sum && strings.Contains(err.Error(), "CRC32C") {
			return // of the bytes as they were
		}
		t.Fatalf("%q of go-proxyproto: %v", b, err)
	}
	if _, name := h.TLV(ProxyTLVCRC32C); !name && !strings.HasPrefix(h.Source.Network(), "unix") && told(h) != told(h2) {
		t.Fatalf("%s; after a round trip %s", told(h), told(h2))
	}
}
