package signer

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// An X25519 key is written in one way: less than 2^255-19, little-endian.
func TestCanonicalKeys(t *testing.T) {
	prime := append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)
	with := func(i int, b byte) []byte {
		k := bytes.Clone(prime)
		k[i] = b
		return k
	}
	for name, c := range map[string]struct {
		key  []byte
		want bool
	}{
		"the prime":                  {prime, false},
		"one less":                   {with(0, 0xec), true},
		"one more":                   {with(0, 0xee), false},
		"less in the middle":         {with(15, 0xfe), true},
		"less in the second":         {with(1, 0), true},
		"less at the end":            {with(31, 0x7e), true},
		"the bit that is left alone": {with(31, 0xff), false},
		"that bit and little else":   {append(make([]byte, 31), 0x80), false},
		"nothing":                    {make([]byte, 32), true},
	} {
		if got := isCanonical(c.key); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A form of TLS 1.2 has exactly the bytes that its curve's key has.
func TestFormsOfOneLength(t *testing.T) {
	good := params12(tls.X25519, make([]byte, 32))
	if !isParams(good) {
		t.Fatal("refused")
	}
	edit := func(at int, b byte) []byte {
		m := bytes.Clone(good)
		m[at] = b
		return m
	}
	for name, m := range map[string][]byte{
		"a byte more":         append(bytes.Clone(good), 0),
		"a byte less":         good[:len(good)-1],
		"another length":      edit(randoms+3, 31),
		"another curve":       edit(randoms+2, 0x1e),
		"a curve of nobody's": edit(randoms+1, 1),
		"no named curve":      edit(randoms, 2),
		"nothing":             nil,
		"the randoms alone":   good[:randoms],
	} {
		if isParams(m) {
			t.Errorf("%s passes", name)
		}
	}
}

// What a supervisor says that cannot be ends the connection to it.
func TestAnswersThatCannotBe(t *testing.T) {
	answer := func(st, pad byte, size int) []byte {
		b := make([]byte, answerHead+size)
		b[4], b[5] = st, pad
		binary.BigEndian.PutUint16(b[6:], uint16(size))
		return b
	}
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"the last status": {answer(byte(statuses)-1, 0, 0), true},
		"one more":        {answer(byte(statuses), 0, 0), false},
		"padding":         {answer(0, 1, 0), false},
		"the longest":     {answer(0, 0, maxSignature), true},
		"longer":          {answer(0, 0, maxSignature+1), false},
	} {
		if _, n, ok := parseAnswer(c.b); ok != c.ok || ok && n != len(c.b) {
			t.Errorf("%s: %d bytes, %v", name, n, ok)
		}
	}
}

func TestTagsOfNoDocument(t *testing.T) {
	for tag, want := range map[byte]bool{0x30: true, 0x31: true, 2: true, 0xa0: true, 0x80: true, 0: false, 0x20: false,
		0x1f: false, 0x3f: false, 0x9f: false, 0x42: false, 0x62: false, 0xc1: false, 0xe0: false} {
		if got := plausibleTag(tag); got != want {
			t.Errorf("%#x: %v", tag, got)
		}
	}
}

// An algorithm has its parameters, most often NULL, at the end: a zero byte that
// is not the end of what has no length.
func TestDocumentThatBeginsWithAnAlgorithm(t *testing.T) {
	algorithm := []byte{0x30, 0x80, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x05, 0x00, 0x00, 0x00}
	b := append([]byte{0x30, byte(len(algorithm) + 3)}, append(algorithm, 2, 1, 1)...)
	if !isDocument(b) {
		t.Errorf("%x passes for none", b)
	}
}

// Slow keys are signed with aside, so that the requests behind them are read.
func TestFastKeys(t *testing.T) {
	var r Ring
	all := keys(t)
	for name, want := range map[string]bool{"P-256": true, "Ed25519": true, "P-384": false, "P-521": false, "RSA": false} {
		k := all[name]
		if k == nil {
			t.Fatal(name)
		}
		id, err := r.Add(k, anyVersion)
		if err != nil {
			t.Fatal(err)
		}
		if r.find(id).fast != want {
			t.Errorf("%s: fast %v", name, !want)
		}
	}
}

// An answer that comes too late is thrown away, and costs the handshakes after
// it nothing.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := net.Pipe()
		defer c.Close()
		client := NewClient(a)
		defer client.Close()
		k := keys(t)["P-256"]
		key := client.Key(1, k.Public())
		go func() {
			req := make([]byte, requestHead+len(goodMessage()))
			io.ReadFull(c, req)
			io.ReadFull(c, req)
			for id, sig := range []string{"late", "mine"} {
				c.Write(appendAnswer(nil, answer{id: uint32(id + 1), st: statusSigned, sig: []byte(sig)}))
			}
		}()
		begin := time.Now()
		if _, err := crypto.SignMessage(key, nil, goodMessage(), crypto.SHA256); !errors.Is(err, ErrSlow) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < Timeout/2 || took > Timeout {
			t.Errorf("gave up after %v", took)
		}
		if sig, err := crypto.SignMessage(key, nil, goodMessage(), crypto.SHA256); string(sig) != "mine" || err != nil {
			t.Errorf("%q, %v", sig, err)
		}
		if n := len(client.room) + len(client.waiting); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}
