package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
	"netserver/netservertest"
	"netserver/port"
	"netserver/sock"
	"netserver/tlsparams"
)

// testKeyAgent is the key agent of a port with params, whose workers are who we are.
func testKeyAgent(t *testing.T, params tlsparams.Params) *keyAgent {
	t.Helper()
	c := &Settings{TLS: params}
	pl := &wire.Plan{Isolate: true, Ports: []sock.Request{{Network: "tcp", Spec: port.Spec{Host: "127.0.0.1", Port: "1", Proto: port.SSL, IPv: "4", Params: conf.Values{}}}}}
	may, err := newAllowed(c, pl, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := (&supervisor{o: &Options{TLSEnv: func(port.Spec) (env tlsparams.Env) { return env }}}).newKeyAgent(c, pl, may)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func copyTo(t *testing.T, dir string, p netservertest.Pair) tlsparams.Files {
	t.Helper()
	f := tlsparams.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for from, to := range map[string]string{p.CertFile: f.Cert, p.KeyFile: f.Key} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestKeyAgentGivesWhatIsNamed: a pair that the configuration does not name is
// not read, and what was read stays open through renewals.
func TestKeyAgentGivesWhatIsNamed(t *testing.T) {
	dir := t.TempDir()
	ca := netservertest.CA(t)
	f := copyTo(t, dir, ca.Issue(t, netservertest.Leaf{}))
	other := ca.Issue(t, netservertest.Leaf{})
	k := testKeyAgent(t, tlsparams.Params{CertFile: f.Cert, KeyFile: f.Key})
	first := k.load(f, [32]byte{}, true)
	if first.Reason != "" || len(first.Chain) == 0 || first.Key == 0 {
		t.Fatalf("%+v", first)
	}
	if again := k.load(f, first.Digest, true); !again.Same || again.Chain != nil {
		t.Errorf("unchanged: %+v", again)
	}
	for _, bad := range []tlsparams.Files{
		{Cert: other.CertFile, Key: other.KeyFile}, {Cert: f.Cert}, {Cert: f.Cert, Key: other.KeyFile}, {Cert: "/etc/passwd"}, {},
	} {
		if a := k.load(bad, [32]byte{}, true); !strings.Contains(a.Reason, "not in the configuration") || a.Key != 0 {
			t.Errorf("%v: %+v", bad, a)
		}
	}
	seen := map[uint32]bool{first.Key: true}
	for range 10 {
		copyTo(t, dir, ca.Issue(t, netservertest.Leaf{}))
		a := k.load(f, first.Digest, true)
		if a.Reason != "" || a.Same || seen[a.Key] {
			t.Fatalf("renewed: %+v", a)
		}
		seen[a.Key] = true
	}
	if n := k.ring.Len(); n != maxKeys {
		t.Errorf("%d keys are open", n)
	}
	if err := os.WriteFile(f.Key, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := k.load(f, [32]byte{}, true); a.Role != certfile.RoleKey || a.File != f.Key || a.Reason == "" {
		t.Errorf("broken: %+v", a)
	}
}

// TestKeyAgentOfADirectory: a worker that asks for a pair in every way of writing
// its name does not fill the key agent; what is gone is dropped; files that are no
// good are not tried again and again.
func TestKeyAgentOfADirectory(t *testing.T) {
	dir := t.TempDir()
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	cert, _ := os.ReadFile(p.CertFile)
	key, _ := os.ReadFile(p.KeyFile)
	write := func(name string, data []byte) tlsparams.Files {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return tlsparams.Files{Cert: f}
	}
	both := append(bytes.Clone(cert), key...)
	k := testKeyAgent(t, tlsparams.Params{CertDir: dir})
	good := write("a.pem", both)
	for _, name := range []string{"text.txt", ".hidden.pem", "sub/x.pem", "sub/sub/fullchain.pem", ".sub/tls.crt", "a.pem.bak"} {
		write(name, both)
	}
	for _, bad := range []tlsparams.Files{
		{Cert: dir + "/./a.pem"}, {Cert: dir + "//a.pem"}, {Cert: dir + "/x/../a.pem"}, {Cert: dir + "/a.pem/"}, {Cert: "./" + dir + "/a.pem"},
		{Cert: dir + "/text.txt"}, {Cert: dir + "/.hidden.pem"}, {Cert: dir + "/sub/x.pem"}, {Cert: dir + "/sub/sub/fullchain.pem"}, {Cert: dir + "/a.pem.bak"},
		{Cert: dir + "/.sub/tls.crt", Key: dir + "/.sub/tls.key"}, {Cert: good.Cert, Key: dir + "/b.key"}, {Cert: good.Cert, Key: dir + "/./a.key"},
		{Cert: dir + "/../" + filepath.Base(dir) + "/a.pem"}, {Cert: dir}, {Cert: filepath.Dir(dir) + "/a.pem"},
	} {
		if a := k.load(bad, [32]byte{}, true); !strings.Contains(a.Reason, "not in the configuration") {
			t.Errorf("%v: %+v", bad, a)
		}
	}
	write("certbot/fullchain.pem", cert)
	write("certbot/privkey.pem", key)
	for _, f := range []tlsparams.Files{good, {Cert: dir + "/certbot/fullchain.pem", Key: dir + "/certbot/privkey.pem"}} {
		for range 3 {
			if a := k.load(f, [32]byte{}, true); a.Reason != "" {
				t.Errorf("%v: %s", f, a.Reason)
			}
			if a := k.load(f, [32]byte{}, false); a.Reason != "" {
				t.Errorf("%v: %s", f, a.Reason)
			}
		}
	}
	if len(k.pairs) != 4 || k.ring.Len() != 1 {
		t.Errorf("%d pairs, %d keys", len(k.pairs), k.ring.Len())
	}
	for i := range 3 * maxPairs {
		f := write(fmt.Sprintf("n%d.pem", i), both)
		if a := k.load(f, [32]byte{}, true); a.Reason != "" {
			t.Fatal(a.Reason)
		}
		os.Remove(f.Cert)
	}
	if len(k.pairs) > maxPairs+1 {
		t.Errorf("%d pairs, nearly all of them gone", len(k.pairs))
	}
}

// TestKeyAgentTriesNothingTwice: what cannot be used is found out once.
func TestKeyAgentTriesNothingTwice(t *testing.T) {
	dir := t.TempDir()
	f := copyTo(t, dir, netservertest.CA(t).Issue(t, netservertest.Leaf{}))
	good, _ := os.ReadFile(f.Key)
	k := testKeyAgent(t, tlsparams.Params{CertFile: f.Cert, KeyFile: f.Key})
	if a := k.load(f, [32]byte{}, true); a.Reason != "" {
		t.Fatal(a.Reason)
	}
	tries := 0
	read := k.ports[0].fresh
	k.ports[0].fresh = func(f tlsparams.Files, have [32]byte) (*tlsparams.Pair, [32]byte, error) {
		pair, digest, err := read(f, have)
		if pair != nil || err != nil {
			tries++
		}
		return pair, digest, err
	}
	os.WriteFile(f.Key, []byte("garbage"), 0o600)
	begin := time.Now()
	for range 5 {
		if a := k.load(f, [32]byte{}, true); a.Role != certfile.RoleKey || a.Reason == "" {
			t.Errorf("broken: %+v", a)
		}
	}
	if most := 1 + int(time.Since(begin)/failKeep); tries > most {
		t.Errorf("tried %d times", tries)
	}
	os.WriteFile(f.Key, good, 0o600)
	if a := k.load(f, [32]byte{}, true); a.Reason != "" {
		t.Errorf("good again: %+v", a)
	}
}
