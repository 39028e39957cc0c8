package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	anyVersion = Use{TLS12: true, TLS13: true}
	oldToo     = Use{TLS12: true, TLS13: true, Old: true}
)

// socketPair returns both ends of a stream.
func socketPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// A bed is a Server with one process that asks it.
type bed struct {
	ring    Ring
	counts  Counts
	client  *Client
	conn    net.Conn // the client's end
	reasons []string
	done    chan error
}

func newBed(t testing.TB, s *Server, ring *Ring) *bed {
	t.Helper()
	b := &bed{done: make(chan error, 1)}
	if s == nil {
		s = New(&b.ring, 0)
	}
	a, c := socketPair(t)
	b.conn, b.client = a, NewClient(a)
	go func() { b.done <- s.Serve(c, &b.counts, func(r Refusal) { b.reasons = append(b.reasons, r.Reason) }) }()
	t.Cleanup(func() {
		b.client.Close()
		<-b.done
	})
	return b
}

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	m := make(map[string]crypto.Signer)
	for name, c := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = k
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m["RSA"], m["Ed25519"] = r, e
	return m
}

func certificate(t testing.TB, k crypto.Signer) *tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"x"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, Leaf: leaf, PrivateKey: k}
}

// shake shakes hands with a server that shows c. The client checks the chain
// and the signature.
func shake(t testing.TB, c *tls.Certificate, version uint16, change func(client, server *tls.Config)) error {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf)
	cc := &tls.Config{RootCAs: pool, ServerName: "x", MinVersion: version, MaxVersion: version}
	sc := &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: version, MaxVersion: version}
	if change != nil {
		change(cc, sc)
	}
	a, b := net.Pipe()
	defer a.Close()
	srv := tls.Server(b, sc)
	failed := make(chan error, 1)
	go func() {
		failed <- srv.Handshake()
		b.Close()
	}()
	err := tls.Client(a, cc).Handshake()
	a.Close()
	return errors.Join(err, <-failed)
}

func TestHandshakes(t *testing.T) {
	b := newBed(t, nil, nil)
	n := uint64(0)
	for name, k := range keys(t) {
		cert := certificate(t, k)
		id, err := b.ring.Add(k, anyVersion)
		if err != nil {
			t.Fatal(err)
		}
		cert.PrivateKey = b.client.Key(id, k.Public())
		for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, curve := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
				if err := shake(t, cert, v, func(c, _ *tls.Config) { c.CurvePreferences = []tls.CurveID{curve} }); err != nil {
					t.Errorf("%s, version %x, %v: %v", name, v, curve, err)
				}
				n++
			}
		}
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
			if err := shake(t, cert, v, nil); err == nil {
				t.Errorf("%s: version %x without being allowed", name, v)
			}
		}
		old, err := b.ring.Add(k, oldToo)
		if err != nil || old == id {
			t.Fatal(old, err)
		}
		cert.PrivateKey = b.client.Key(old, k.Public())
		if name == "Ed25519" {
			continue // not before TLS 1.2
		}
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
			if err := shake(t, cert, v, nil); err != nil {
				t.Errorf("%s: version %x: %v", name, v, err)
			}
			n++
		}
	}
	if got := b.counts.Signed.Load(); got != n {
		t.Errorf("%d signatures counted for %d handshakes", got, n)
	}
	if len(b.reasons) != 1 || !strings.Contains(b.reasons[0], "TLS 1.0") {
		t.Errorf("refused: %q", b.reasons)
	}
}

// goodMessage is one of TLS 1.3 with SHA-256.
func goodMessage() []byte { return append([]byte(context), make([]byte, 32)...) }

// params12 is one of TLS 1.2.
func params12(curve tls.CurveID, point []byte) []byte {
	m := append(make([]byte, 64), 3, byte(curve>>8), byte(curve), byte(len(point)))
	return append(m, point...)
}

// publicKey is a server's for one handshake.
func publicKey(t testing.TB, c ecdh.Curve) []byte {
	t.Helper()
	k, err := c.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.PublicKey().Bytes()
}

// TestNothingElseIsSigned asks as somebody would who has taken over a process.
func TestNothingElseIsSigned(t *testing.T) {
	all := keys(t)
	b := newBed(t, nil, nil)
	ids := make(map[string]uint32)
	for name, k := range all {
		ids[name], _ = b.ring.Add(k, anyVersion)
		for use, u := range map[string]Use{" for 1.2": {TLS12: true}, " for 1.3": {TLS13: true}, " marked": {TLS12: true, TLS13: true, Marked: true}, " for nothing": {}} {
			ids[name+use], _ = b.ring.Add(k, u)
		}
	}
	good := goodMessage()
	cut := func(n int) []byte { return good[:len(good)-n] }
	client := []byte(strings.Replace(string(good), "server", "client", 1))
	p256 := publicKey(t, ecdh.P256())
	with := func(msg []byte, at int, b ...byte) []byte {
		msg = bytes.Clone(msg)
		copy(msg[at:], b)
		return msg
	}
	marked := with(params12(tls.CurveP256, p256), 56, []byte("DOWNGRD\x01")...)
	for name, c := range map[string]struct {
		key    uint32
		scheme tls.SignatureScheme
		msg    []byte
		want   status
	}{
		"good":                    {ids["P-256"], tls.ECDSAWithP256AndSHA256, good, statusSigned},
		"good, TLS 1.2":           {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, p256), statusSigned},
		"another hash, TLS 1.2":   {ids["P-256"], tls.ECDSAWithP384AndSHA384, params12(tls.CurveP256, p256), statusSigned},
		"RSA, TLS 1.2":            {ids["RSA"], tls.PKCS1WithSHA256, params12(tls.X25519, make([]byte, 32)), statusSigned},
		"1.2 where 1.2 is":        {ids["P-256 for 1.2"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, p256), statusSigned},
		"1.3 where 1.3 is":        {ids["P-256 for 1.3"], tls.ECDSAWithP256AndSHA256, good, statusSigned},
		"1.2 where 1.3 is":        {ids["P-256 for 1.3"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, p256), statusVersion},
		"1.3 where 1.2 is":        {ids["P-256 for 1.2"], tls.ECDSAWithP256AndSHA256, good, statusVersion},
		"RSA, 1.2 where 1.3 is":   {ids["RSA for 1.3"], tls.PKCS1WithSHA256, params12(tls.CurveP256, p256), statusVersion},
		"RSA, 1.3 where 1.2 is":   {ids["RSA for 1.2"], tls.PSSWithSHA256, good, statusVersion},
		"1.2 where nothing is":    {ids["P-256 for nothing"], tls.ECDSAWithP256AndSHA256, marked, statusVersion},
		"1.3 where nothing is":    {ids["P-256 for nothing"], tls.ECDSAWithP256AndSHA256, good, statusVersion},
		"with the mark":           {ids["P-256 marked"], tls.ECDSAWithP256AndSHA256, marked, statusSigned},
		"1.3 needs no mark":       {ids["P-256 marked"], tls.ECDSAWithP256AndSHA256, good, statusSigned},
		"without the mark":        {ids["P-256 marked"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, p256), statusMessage},
		"the mark of 1.1":         {ids["P-256 marked"], tls.ECDSAWithP256AndSHA256, with(marked, 63, 0), statusMessage},
		"off the curve":           {ids["P-256"], tls.ECDSAWithP256AndSHA256, with(params12(tls.CurveP256, p256), 100, p256[32]^1), statusMessage},
		"off the curve, P-384":    {ids["RSA"], tls.PKCS1WithSHA256, params12(tls.CurveP384, append([]byte{4}, make([]byte, 96)...)), statusMessage},
		"off the curve, P-521":    {ids["RSA"], tls.PSSWithSHA256, params12(tls.CurveP521, append([]byte{4}, make([]byte, 132)...)), statusMessage},
		"P-521":                   {ids["RSA"], tls.PSSWithSHA256, params12(tls.CurveP521, publicKey(t, ecdh.P521())), statusSigned},
		"P-384's as P-256's":      {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, publicKey(t, ecdh.P384())), statusMessage},
		"X25519, too large":       {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.X25519, bytes.Repeat([]byte{0xff}, 32)), statusMessage},
		"X25519, not reduced":     {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.X25519, append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), statusMessage},
		"X25519, the largest":     {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.X25519, append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)), statusSigned},
		"another hash, TLS 1.3":   {ids["P-256"], tls.ECDSAWithP384AndSHA384, good, statusScheme},
		"unknown key":             {999, tls.ECDSAWithP256AndSHA256, good, statusNoKey},
		"no key":                  {0, tls.ECDSAWithP256AndSHA256, good, statusNoKey},
		"another kind of key":     {ids["P-256"], tls.PSSWithSHA256, good, statusScheme},
		"Ed25519 for ECDSA":       {ids["Ed25519"], tls.ECDSAWithP256AndSHA256, good, statusScheme},
		"PKCS #1 in TLS 1.3":      {ids["RSA"], tls.PKCS1WithSHA256, good, statusScheme},
		"SHA-1":                   {ids["P-256"], tls.ECDSAWithSHA1, good, statusScheme},
		"RSA with SHA-1":          {ids["RSA"], tls.PKCS1WithSHA1, params12(tls.X25519, make([]byte, 32)), statusScheme},
		"unknown scheme":          {ids["P-256"], 0xffff, good, statusScheme},
		"empty":                   {ids["P-256"], tls.ECDSAWithP256AndSHA256, []byte{}, statusMessage},
		"a hash":                  {ids["P-256"], tls.ECDSAWithP256AndSHA256, make([]byte, 32), statusMessage},
		"any text":                {ids["Ed25519"], tls.Ed25519, []byte("give me your money"), statusMessage},
		"as a client":             {ids["P-256"], tls.ECDSAWithP256AndSHA256, client, statusMessage},
		"short transcript":        {ids["P-256"], tls.ECDSAWithP256AndSHA256, cut(1), statusMessage},
		"long transcript":         {ids["P-256"], tls.ECDSAWithP256AndSHA256, append(good[:len(good):len(good)], 1), statusMessage},
		"explicit curve":          {ids["P-256"], tls.ECDSAWithP256AndSHA256, append(make([]byte, 64), append([]byte{1, 0, 23, 65}, p256...)...), statusMessage},
		"unknown curve":           {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(22, p256), statusMessage},
		"point of another length": {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, p256[:64]), statusMessage},
		"compressed point":        {ids["P-256"], tls.ECDSAWithP256AndSHA256, params12(tls.CurveP256, append([]byte{2}, make([]byte, 64)...)), statusMessage},
		"more behind the point":   {ids["P-256"], tls.ECDSAWithP256AndSHA256, append(params12(tls.X25519, make([]byte, 32)), 1), statusMessage},
		"hash, not allowed":       {ids["P-256"], legacy, make([]byte, 20), statusLegacy},
		"RSA hash, not allowed":   {ids["RSA"], legacy, make([]byte, 36), statusLegacy},
	} {
		before := [2]uint64{b.counts.Signed.Load(), b.counts.Refused.Load()}
		_, err := b.client.ask(request{key: c.key, scheme: uint16(c.scheme), msg: c.msg})
		after := [2]uint64{b.counts.Signed.Load(), b.counts.Refused.Load()}
		if c.want == statusSigned {
			before[0]++
		} else {
			before[1]++
		}
		if (err == nil) != (c.want == statusSigned) || err != nil && !strings.Contains(err.Error(), c.want.String()) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if before != after {
			t.Errorf("%s: signed and refused are %v, want %v", name, after, before)
		}
	}
	slices.Sort(b.reasons)
	if len(b.reasons) != 5 || len(slices.Compact(b.reasons)) != 5 {
		t.Errorf("told %d times: %q", len(b.reasons), b.reasons)
	}
	// Still there.
	if _, err := b.client.ask(request{key: ids["P-256"], scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: good}); err != nil {
		t.Error(err)
	}
}

func TestHashesOfOldVersions(t *testing.T) {
	all := keys(t)
	b := newBed(t, nil, nil)
	for name, sizes := range map[string]map[int]bool{"P-256": {20: true, 36: false, 32: false}, "RSA": {36: true, 20: false, 32: false}, "Ed25519": {20: false, 36: false}} {
		id, _ := b.ring.Add(all[name], oldToo)
		for size, want := range sizes {
			if _, err := b.client.ask(request{key: id, scheme: legacy, msg: make([]byte, size)}); (err == nil) != want {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
		}
	}
}

// TestGarbage sends what no client of ours would, whole and in pieces, and
// then a good request.
func TestGarbage(t *testing.T) {
	k := keys(t)["P-256"]
	b := newBed(t, nil, nil)
	id, _ := b.ring.Add(k, anyVersion)
	huge := appendRequest(nil, request{id: 1, key: id, scheme: 1})
	huge[10], huge[11] = 0xff, 0xff
	huge = append(huge, bytes.Repeat([]byte{0xaa}, 0xffff)...)
	empty := make([]byte, requestHead)
	good := appendRequest(nil, request{id: 7, key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: goodMessage()})
	all := bytes.Join([][]byte{huge, empty, huge, good, good}, nil)
	go func() {
		for i := 0; len(all) > 0; i++ {
			n := min(len(all), 1+(i*37)%700)
			if _, err := b.conn.Write(all[:n]); err != nil {
				return
			}
			all = all[n:]
		}
	}()
	in := make([]byte, 0, 4096)
	var got []status
	b.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for len(got) < 5 {
		n, err := b.conn.Read(in[len(in):cap(in)])
		if err != nil {
			t.Fatal(err, got)
		}
		in = in[:len(in)+n]
		for {
			a, n, ok := parseAnswer(in)
			if !ok {
				t.Fatal("no answer")
			}
			if n == 0 {
				break
			}
			got = append(got, a.st)
			in = in[n:]
		}
	}
	want := []status{statusTooLong, statusNoKey, statusTooLong, statusSigned, statusSigned}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("answers %v, want %v", got, want)
			break
		}
	}
	if r := b.counts.Refused.Load(); r != 3 {
		t.Errorf("%d refused", r)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBed(t, nil, nil)
	var wg sync.WaitGroup
	for name, k := range keys(t) {
		id, _ := b.ring.Add(k, anyVersion)
		remote := b.client.Key(id, k.Public())
		// All signatures together are more than may be under way. Those that take
		// a processor long are few: each has to be there within Timeout.
		opts, many := crypto.SignerOpts(crypto.Hash(0)), 100
		switch name {
		case "P-256":
			opts = crypto.SHA256
		case "P-384":
			opts, many = crypto.SHA384, 4
		case "P-521":
			opts, many = crypto.SHA512, 4
		case "RSA":
			opts, many = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}, 4
		}
		for range many {
			wg.Go(func() {
				for i := range 2 {
					msg := goodMessage()
					msg[len(msg)-1] = byte(i)
					sig, err := crypto.SignMessage(remote, nil, msg, opts)
					if err != nil || !verify(k.Public(), msg, sig, opts) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := len(b.client.room) + len(b.client.waiting) + len(b.client.lead); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func verify(pub crypto.PublicKey, msg, sig []byte, opts crypto.SignerOpts) bool {
	sum := msg
	if h := opts.HashFunc(); h != 0 {
		w := h.New()
		w.Write(msg)
		sum = w.Sum(nil)
	}
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, sum, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, sum, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPSS(pub, opts.HashFunc(), sum, sig, nil) == nil
	}
	return false
}

// TestGone: when the process with the keys ends, nobody waits on.
func TestGone(t *testing.T) {
	a, c := socketPair(t)
	client := NewClient(a)
	k := keys(t)["P-256"]
	key := client.Key(1, k.Public())
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			_, err := crypto.SignMessage(key, nil, goodMessage(), crypto.SHA256)
			errs <- err
		}()
	}
	io.ReadFull(c, make([]byte, 20*(requestHead+len(goodMessage())))) // all have asked
	c.Close()
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
	if _, err := crypto.SignMessage(key, nil, goodMessage(), crypto.SHA256); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	if n := len(client.room) + len(client.waiting); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestBadAnswers: what is no answer ends the connection.
func TestBadAnswers(t *testing.T) {
	a, c := socketPair(t)
	client := NewClient(a)
	defer c.Close()
	go c.Write(bytes.Repeat([]byte{0xff}, answerHead))
	_, err := crypto.SignMessage(client.Key(1, keys(t)["P-256"].Public()), nil, goodMessage(), crypto.SHA256)
	if !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// TestRing: one key has one number, and is there until its last user drops it.
func TestRing(t *testing.T) {
	var r Ring
	all := keys(t)
	a, _ := r.Add(all["P-256"], anyVersion)
	b, _ := r.Add(all["P-256"], anyVersion)
	c, _ := r.Add(all["RSA"], anyVersion)
	if a != b || a == c || r.Len() != 2 {
		t.Fatal(a, b, c, r.Len())
	}
	r.Drop(a)
	if r.find(a) == nil {
		t.Error("gone with one user left")
	}
	r.Drop(a)
	r.Drop(a)
	if r.find(a) != nil || r.Len() != 1 {
		t.Error("still there")
	}
	if d, _ := r.Add(all["P-256"], anyVersion); d == a {
		t.Error("an old number names a key again")
	}
}
