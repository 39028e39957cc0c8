package proto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/tlsparams"
)

// counted counts what is written, and fails from a byte on.
type counted struct {
	net.Conn
	mu     sync.Mutex
	writes int
	bytes  int
	fail   int // bytes that are taken before a deadline passes; 0 is any number
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	if c.fail > 0 && c.bytes+len(b) > c.fail {
		n := max(c.fail-c.bytes, 0)
		c.bytes += n
		return n, os.ErrDeadlineExceeded
	}
	c.bytes += len(b)
	return c.Conn.Write(b)
}

func (c *counted) reset() { c.mu.Lock(); c.writes, c.bytes = 0, 0; c.mu.Unlock() }

// pairCounted returns both ends of a TLS connection, and what the server writes.
func pairCounted(t testing.TB, version uint16) (*TLSConn, *tls.Conn, *counted) {
	t.Helper()
	server, client := ends(t)
	out := &counted{Conn: server}
	srv, tc := greet(t, transport(t, tlsparams.Params{}), out, client, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	out.reset()
	return srv, tc, out
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// The records of one Write go out together, from the first one of a connection
// on, which crypto/tls makes small.
func TestRecordsOfAWriteGoOutTogether(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{1, smallWrite, smallWrite + 1, 1187, 5000, 16 << 10, 16<<10 + 1, 40000, 64 << 10, 300000, maxGathered + 70000} {
			srv, tc, out := pairCounted(t, version)
			want := pattern(size)
			got := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(tc); got <- b }()
			if n, err := srv.Write(want); n != size || err != nil {
				t.Fatalf("%d bytes: %d, %v", size, n, err)
			}
			if most := size/(60<<10) + 1; out.writes > most {
				t.Errorf("%x, %d bytes: %d writes, want at most %d", version, size, out.writes, most)
			}
			if srv.ahead.out.buf != nil || srv.ahead.out.n != 0 || srv.ahead.out.left != 0 || srv.ahead.out.writers != 0 {
				t.Errorf("%d bytes: left behind: %+v", size, &srv.ahead.out)
			}
			srv.CloseWrite()
			if b := <-got; !bytes.Equal(b, want) {
				t.Errorf("%x, %d bytes: other bytes have arrived, %d of them", version, size, len(b))
			}
		}
	}
}

// Writes of several goroutines stay whole.
func TestWritesAtTheSameTime(t *testing.T) {
	srv, tc, _ := pairCounted(t, tls.VersionTLS13)
	const writers, blocks = 4, 30
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range blocks {
				size := 1000 + 9000*w
				srv.Write(append(binary.BigEndian.AppendUint32([]byte{byte(w)}, uint32(size)), bytes.Repeat([]byte{byte(w)}, size)...))
			}
		})
	}
	go func() { all.Wait(); srv.CloseWrite() }()
	seen := 0
	for {
		var head [5]byte
		if _, err := io.ReadFull(tc, head[:]); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(tc, b); err != nil || bytes.Count(b, head[:1]) != len(b) {
			t.Fatalf("a block of writer %d: %v", head[0], err)
		}
		seen++
	}
	if seen != writers*blocks {
		t.Errorf("%d blocks have come", seen)
	}
}

// After a write that failed amid a record nothing more is sent.
func TestNothingFollowsHalfARecord(t *testing.T) {
	for _, fail := range []int{1, 5000, 16 << 10, 16<<10 + 22, 40000} {
		srv, _, out := pairCounted(t, tls.VersionTLS13)
		srv.Write([]byte("x"))
		out.reset()
		out.fail = fail
		if _, err := srv.Write(pattern(60000)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes taken: %v", fail, err)
		}
		out.fail = 1 << 30
		before := out.bytes
		for _, size := range []int{1, 100, 5000, 60000} {
			if _, err := srv.Write(pattern(size)); err == nil {
				t.Errorf("%d bytes taken: a write goes on", fail)
			}
		}
		srv.CloseWrite()
		if out.bytes != before {
			t.Errorf("%d bytes taken: %d bytes follow half a record", fail, out.bytes-before)
		}
	}
}

// What has come as whole records is one Read, as far as b has room for them.
func TestWholeRecordsAreOneRead(t *testing.T) {
	const record = 16 << 10
	for _, tt := range []struct {
		what string
		sent int // bytes
		cut  int // bytes at the end that come later
		room int
		want int
	}{
		{"as many as the buffer below TLS holds", 3 * record, 0, 64 << 10, aheadSize / record * record},
		{"no room for a third", 3 * record, 0, 2*record + 100, 2 * record},
		{"the third is not whole", 3 * record, 1, 64 << 10, 2 * record},
		{"nor is its header", 3 * record, record + 18, 64 << 10, 2 * record},
		{"small ones", 5000, 0, 64 << 10, 5000},
	} {
		server, client := ends(t)
		out := &corked{Conn: client}
		srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: tt.sent > record})
		out.cork = true
		want := pattern(tt.sent)
		tc.Write(want)
		later := bytes.Clone(out.held[len(out.held)-tt.cut:])
		out.held = out.held[:len(out.held)-tt.cut]
		out.uncork(t)
		b := make([]byte, tt.room)
		n, err := srv.Read(b)
		if err != nil || n != tt.want || !bytes.Equal(b[:n], want[:n]) {
			t.Errorf("%s: %d bytes, %v; want %d", tt.what, n, err, tt.want)
		}
		client.Write(later)
		rest, err := io.ReadAll(io.LimitReader(srv, int64(tt.sent-n)))
		if err != nil || !bytes.Equal(rest, want[n:]) {
			t.Errorf("%s: the rest: %d bytes, %v", tt.what, len(rest), err)
		}
	}
}

// The end that comes behind data is met by the next Read, without a wait for
// more.
func TestEndBehindRecords(t *testing.T) {
	for what, want := range map[string]string{"close_notify": "EOF", "garbage": "bad record MAC", "alert": "EOF"} {
		server, client := ends(t)
		out := &corked{Conn: client}
		srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, &tls.Config{InsecureSkipVerify: true})
		out.cork = true
		tc.Write([]byte("first"))
		tc.Write([]byte("second"))
		if what == "garbage" {
			out.held = append(out.held, append([]byte{23, 3, 3, 0, 100}, make([]byte, 100)...)...)
		} else {
			tc.CloseWrite()
		}
		client.SetWriteDeadline(time.Time{}) // CloseWrite leaves one that has passed
		out.uncork(t)
		var got []byte
		b := make([]byte, 64<<10)
		var err error
		for err == nil {
			if err = srv.WaitRead(); err == nil {
				var n int
				n, err = srv.Read(b)
				got = append(got, b[:n]...)
			}
		}
		if string(got) != "firstsecond" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// A message of TLS itself behind data, with nothing after it, holds nothing up:
// a client that changes its keys behind its request waits for the answer.
func TestKeyUpdateBehindRecords(t *testing.T) {
	server, client := ends(t)
	out := &corked{Conn: client}
	var keys bytes.Buffer
	cfg := &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &keys, MinVersion: tls.VersionTLS13}
	srv, tc := greet(t, transport(t, tlsparams.Params{}), server, out, cfg)
	if tc.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("the suite is another on this machine")
	}
	out.cork = true
	tc.Write([]byte("request"))
	out.held = append(out.held, keyUpdate(t, keys.String(), 1)...)
	tc.Write([]byte("lost")) // under the old keys, to have two records behind each other
	request := bytes.Index(out.held, []byte{23, 3, 3})
	out.held = out.held[request : len(out.held)-len("lost")-recordOverhead]
	out.uncork(t)
	done := make(chan error, 1)
	go func() {
		b := make([]byte, 64<<10)
		n, err := srv.Read(b)
		if err == nil && string(b[:n]) != "request" {
			err = fmt.Errorf("read %q", b[:n])
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the request is held back")
		client.Close()
		<-done
	}
}

// keyUpdate returns the record of a KeyUpdate that asks for none in turn, as the
// client's record number seq under its first keys.
func keyUpdate(t *testing.T, keyLog string, seq byte) []byte {
	t.Helper()
	_, rest, _ := strings.Cut(keyLog, "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(rest)[1])
	if err != nil {
		t.Fatal(err)
	}
	expand := func(label string, size int) []byte {
		label = "tls13 " + label
		info := binary.BigEndian.AppendUint16(nil, uint16(size))
		info = append(append(append(info, byte(len(label))), label...), 0)
		b, err := hkdf.Expand(sha256.New, secret, string(info), size)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	block, err := aes.NewCipher(expand("key", 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := expand("iv", 12)
	nonce[11] ^= seq
	plain := []byte{24, 0, 0, 1, 0, 22} // key_update, update_not_requested, a handshake message
	header := []byte{23, 3, 3, 0, byte(len(plain) + aead.Overhead())}
	return append(header, aead.Seal(nil, nonce, plain, header)...)
}

// BenchmarkWriteTLS writes blocks to a client that takes them.
func BenchmarkWriteTLS(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 32 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			srv, tc, out := pairCounted(b, tls.VersionTLS13)
			go io.Copy(io.Discard, tc)
			block := pattern(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := srv.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(out.writes)/float64(b.N), "writes/op")
		})
	}
}
