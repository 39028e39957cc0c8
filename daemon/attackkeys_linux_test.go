package daemon_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// askSigner sends a request for a signature and returns the status of the
// answer, 0 for signed.
func askSigner(f *os.File, key uint32, scheme tls.SignatureScheme, msg []byte) (status int, err error) {
	b := binary.BigEndian.AppendUint32(nil, 77)
	b = binary.BigEndian.AppendUint32(b, key)
	b = binary.BigEndian.AppendUint16(b, uint16(scheme))
	b = binary.BigEndian.AppendUint16(b, uint16(len(msg)))
	if _, err := f.Write(append(b, msg...)); err != nil {
		return 0, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(f, make([]byte, binary.BigEndian.Uint16(head[6:])))
	return int(head[4]), err
}

// verifyMessage is what a server signs in TLS 1.3.
func verifyMessage() []byte {
	return append([]byte(strings.Repeat(" ", 64)+"TLS 1.3, server CertificateVerify\x00"), make([]byte, 32)...)
}

// caPair makes a certificate that may sign certificates, as openssl req -x509
// does.
func caPair(t *testing.T) keyed {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"www.example.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k := keyed{key: key}
	if k.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	k.pem = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k.pkcs8(t)})
	return k
}

// certificateIn521 is a certificate's part to be signed, of the length that
// TLS 1.2 with P-521 has, with that form's fixed bytes in its serial number.
func certificateIn521(t *testing.T, issuer *x509.Certificate) []byte {
	t.Helper()
	el := func(tag byte, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		if len(body) < 0x80 {
			return append([]byte{tag, byte(len(body))}, body...)
		}
		return append([]byte{tag, 0x81, byte(len(body))}, body...)
	}
	at := func(d time.Duration) []byte { return el(0x17, []byte(time.Now().UTC().Add(d).Format("060102150405Z"))) }
	ed25519 := []byte{0x30, 5, 6, 3, 0x2b, 0x65, 0x70}
	exts := append([]byte{0x30, 0x0f, 6, 3, 0x55, 0x1d, 0x13, 1, 1, 0xff, 4, 5, 0x30, 3, 1, 1, 0xff}, el(0x30, []byte{6, 1, 0x2a}, el(4))...)
	tbs := el(0x30, []byte{0xa0, 3, 2, 1, 2}, el(2, slices.Repeat([]byte{1}, 54), []byte{3, 0, 0x19, 133, 4}),
		[]byte{0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2}, issuer.RawSubject, el(0x30, at(-time.Hour), at(time.Hour)),
		el(0x30), el(0x30, ed25519, el(3, []byte{0}, make([]byte, 32))), el(0xa3, el(0x30, exts)))
	if len(tbs) != 64+4+133 {
		t.Fatalf("the test is wrong: %d bytes", len(tbs))
	}
	return tbs
}

// TestAttackSigner: who has a worker's way to the keys has handshakes signed
// and no certificate; and nothing when the worker has ended.
func TestAttackSigner(t *testing.T) {
	rooted(t)
	k := caPair(t)
	for _, servers := range []int{1, 20} { // the supervisor waits with a thread each, or without
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			r := start(t, append([]string{"PreForkSimple", "--max_servers", strconv.Itoa(servers), "--port", "127.0.0.1:0/ssl", "--worker_timeout", "0"}, twoFiles(t, openDir(t), k)...)...)
			r.serving()
			r.wait("may sign certificates too (CA:TRUE)", 1)
			handshake(t, r.addr(0), tls.VersionTLS13, k)
			worker := r.children()[0]
			h := seize(t, worker)
			f := h.signer()
			h.hold()
			const p256 = tls.ECDSAWithP256AndSHA256
			if st, err := askSigner(f, 1, p256, verifyMessage()); st != 0 || err != nil {
				t.Errorf("a handshake, which the worker must be able to have signed: status %d, %v", st, err)
			}
			if st, err := askSigner(f, 1, p256, certificateIn521(t, k.cert)); st == 0 || err != nil {
				t.Errorf("a certificate: status %d, %v", st, err)
			}
			r.wait("the worker may be compromised", 1)
			syscall.Kill(worker, syscall.SIGKILL)
			r.wait("signal: killed", 1)
			netservertest.Eventually(t, "nothing is signed for the dead", func() bool {
				_, err := askSigner(f, 1, p256, verifyMessage())
				return err != nil
			})
			handshake(t, r.addr(0), tls.VersionTLS13, k)
		})
	}
}

// answerTo asks the supervisor for something, as a worker that is held.
func answerTo(t *testing.T, l *hostLink, id int, m object) (data []byte, failed string) {
	t.Helper()
	m["ID"] = id
	l.say(m)
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(l, head); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(l, body); err != nil {
			t.Fatal(err)
		}
		var a struct {
			Op, Failed string
			ID         int
			Data       []byte
			Pair       *struct {
				Chain  [][]byte
				Reason string
			}
		}
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatal(err)
		}
		if a.Op != "data" || a.ID != id {
			continue
		}
		if a.Pair != nil {
			return bytes.Join(a.Pair.Chain, nil), a.Pair.Reason
		}
		return a.Data, a.Failed
	}
}

// TestAttackFiles: root reads for a worker what the configuration names, and
// gives it no key, no password and nothing that only lies beside.
func TestAttackFiles(t *testing.T) {
	rooted(t)
	dir, k := openDir(t), newKeyed(t, "P-256")
	files := twoFiles(t, dir, k)
	cas := filepath.Join(dir, "cas")
	os.MkdirAll(filepath.Join(cas, "sub"), 0o755)
	ca := newKeyed(t, "P-256")
	put(t, cas, "ca.pem", ca.certPEM())
	word := put(t, dir, "word", []byte(passphrase))
	r := start(t, append([]string{"--port", "127.0.0.1:0/ssl", "--SSL_verify_mode", "1", "--SSL_ca_path", cas, "--SSL_passwd_file", word, "--worker_timeout", "0"}, files...)...)
	r.serving()
	h := seize(t, r.only())
	l := h.link()
	h.hold()
	l.drain()
	n := 0
	ask := func(m object) ([]byte, string) { n++; return answerTo(t, l, n<<32, m) }
	if data, failed := ask(object{"Op": "read", "Path": filepath.Join(cas, "ca.pem"), "Fresh": true}); !bytes.Equal(data, ca.certPEM()) {
		t.Errorf("an authority, which the worker needs: %q %s", data, failed)
	}
	mark := []byte("a line of a file that is root's alone")
	secret := put(t, dir, "secret", mark)
	for _, name := range []string{"link.pem", "0123abcd.0", "sub/link.pem", ".link.pem", "link.txt", "link.crl"} {
		if err := os.Symlink(secret, filepath.Join(cas, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, cas, "key.pem", k.pem)
	put(t, cas, "key.crt", append(k.pkcs8(t), '\n'))
	put(t, cas, "key.key", k.pem)
	secrets := append(k.secrets(t), mark, []byte(passphrase), k.pkcs8(t), []byte("root:"))
	paths := []string{secret, "/etc/shadow", "/etc/passwd", cas + "/../secret", word, filepath.Join(dir, "key.pem"), cas, dir, "/"}
	for _, name := range []string{"link.pem", "0123abcd.0", "sub/link.pem", ".link.pem", "link.txt", "link.crl", "key.pem", "key.crt", "key.key", "sub", "."} {
		paths = append(paths, filepath.Join(cas, name), cas+"/sub/../"+name)
	}
	for _, path := range paths {
		for _, m := range []object{{"Op": "read", "Path": path}, {"Op": "read", "Path": path, "Fresh": true}, {"Op": "read", "Path": path, "Dir": true}, {"Op": "load", "Path": path, "Fresh": true}, {"Op": "load", "Path": filepath.Join(dir, "cert.pem"), "Key": path}} {
			data, failed := ask(m)
			for i, s := range secrets {
				if bytes.Contains(data, s) || strings.Contains(failed, string(s)) {
					t.Errorf("%v: gives out secret %d: %q %q", m, i, data, failed)
				}
			}
		}
	}
	data, failed := ask(object{"Op": "read", "Path": cas, "Dir": true})
	for _, name := range []string{".link.pem", "link.txt", "key.key", "sub"} {
		if strings.Contains(string(data), `"`+name+`"`) {
			t.Errorf("names %s: %s %s", name, data, failed)
		}
	}
}

// oneTicket is a client's memory of one ticket.
type oneTicket struct{ last *tls.ClientSessionState }

func (o *oneTicket) Get(string) (*tls.ClientSessionState, bool)  { return o.last, o.last != nil }
func (o *oneTicket) Put(_ string, state *tls.ClientSessionState) { o.last = state }

// name returns the name of the key that sealed the ticket.
func (o *oneTicket) name(t *testing.T) string {
	t.Helper()
	ticket, _, err := o.last.ResumptionState()
	if err != nil || len(ticket) < 16 {
		t.Fatal(err)
	}
	return string(ticket[:16])
}

// come comes in once, until the ticket is there, and reports whether that
// resumed a session.
func (o *oneTicket) come(t *testing.T, addr string, version uint16) bool {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example.com", MinVersion: version, MaxVersion: version, ClientSessionCache: o})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "quit\n")
	io.Copy(io.Discard, c)
	return c.ConnectionState().DidResume
}

// ticketName is the name of the key of a secret in the half day of now, later
// by some half days.
func ticketName(secret []byte, now time.Time, later int64) string {
	n := now.Unix()/(12*60*60) + later
	out, err := hkdf.Key(sha256.New, secret, nil, "netserver ticket key epoch "+strconv.FormatInt(n, 10), 48)
	if err != nil {
		return ""
	}
	return string(out[:16])
}

// heap reads what a process has put on Go's heap.
func heap(t *testing.T, pid int) (all []byte) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skip(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode)
		if n := len(strings.Fields(line)); !strings.HasPrefix(mode, "rw") || n > 5 && !strings.Contains(line, "Go: heap") {
			continue // of a file, or of the runtime
		}
		const step = 64 << 10
		b := make([]byte, step)
		for ; from < to; from += step {
			n, _ := mem.ReadAt(b[:min(step, to-from)], from)
			if slices.ContainsFunc(b[:n], func(c byte) bool { return c != 0 }) {
				all = append(all, b[:n]...)
			}
		}
	}
	return all
}

// looksRandom leaves out what is no secret of 32 bytes, but for one of some
// millions: those have hardly a zero, and about 30 different ones.
func looksRandom(s []byte) bool {
	if bytes.Count(s, []byte{0}) > 4 {
		return false
	}
	var seen [256]bool
	n := 0
	for _, c := range s {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n >= 20
}

// secretIn finds the secret of a ticket's key in memory.
func secretIn(t *testing.T, memory []byte, name string) []byte {
	t.Helper()
	now := time.Now()
	for _, later := range []int64{0, -1} { // it may have become noon meanwhile
		for i := 0; i+32 <= len(memory); i += 16 {
			if s := memory[i : i+32]; looksRandom(s) && ticketName(s, now, later) == name {
				return bytes.Clone(s)
			}
		}
	}
	t.Fatal("the worker's secret is not found, so that the test shows nothing")
	return nil
}

// TestAttackTickets: an attacker takes the secret of ticket keys out of a
// worker. Once that has ended, nothing opens or is sealed with what can be made
// of it; where it ended because it was told to, tickets that gain nobody
// anything still resume.
func TestAttackTickets(t *testing.T) {
	rooted(t)
	r := start(t, append([]string{"--port", "127.0.0.1:0/ssl"}, twoFiles(t, openDir(t), newKeyed(t, "P-256"))...)...)
	r.serving()
	addr := r.addr(0)
	new13, new12 := new(oneTicket), new(oneTicket)
	come := func(step string, resumes13, resumes12 bool) {
		t.Helper()
		if a, b := new13.come(t, addr, tls.VersionTLS13), new12.come(t, addr, tls.VersionTLS12); a != resumes13 || b != resumes12 {
			t.Errorf("%s: TLS 1.3 resumes %v, TLS 1.2 %v", step, a, b)
		}
	}
	come("first", false, false)
	come("again", true, true)
	worker := r.only()
	memory := heap(t, worker)
	secret := secretIn(t, memory, new13.name(t))
	useless := func(step string) {
		t.Helper()
		for n := int64(-3); n < 1000; n++ {
			for _, o := range []*oneTicket{new13, new12} {
				if ticketName(secret, time.Now(), n) == o.name(t) {
					t.Errorf("%s: the old secret has the new key, %d half days ahead", step, n)
				}
			}
		}
	}

	r.signal(syscall.SIGHUP)
	r.wait("restart: ", 1)
	next := r.only(worker)
	come("after HUP", true, false)
	useless("after HUP")
	come("again after HUP", true, true)

	secret = secretIn(t, heap(t, next), new13.name(t))
	syscall.Kill(next, syscall.SIGKILL)
	r.wait("signal: killed", 1)
	last := r.only(worker, next)
	netservertest.Eventually(t, "the next worker serves", func() bool { return len(heap(t, last)) > 0 })
	come("after a crash", false, false)
	useless("after a crash")
	if m := heap(t, last); bytes.Contains(m, secret) {
		t.Error("the new worker has the secret of one that crashed")
	}
	come("again after a crash", true, true)
}
