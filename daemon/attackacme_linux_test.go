package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// TestAttackACME: a worker gets the certificates that it serves, without their
// keys, and nothing else of acme_storage.
func TestAttackACME(t *testing.T) {
	rooted(t)
	p := &pebble{directory: "https://127.0.0.1:" + freePort(t) + "/dir", caFile: netservertest.NewCA(t, "nobody's").File(t), port: freePort(t)}
	dir := openDir(t)
	storage := filepath.Join(dir, "acme")
	r := start(t, p.keys(storage, "--acme_domains", "a.example", "--worker_timeout", "0")...)
	r.serving()
	r.wait("acme: no certificate for a.example", 1)
	retired := newKeyed(t, "P-256")
	put(t, filepath.Join(storage, "retired"), "b.example.pem", append(retired.pem, retired.certPEM()...))
	put(t, filepath.Join(storage, "certificates"), ".hidden.pem", append(retired.pem, retired.certPEM()...))
	accounts, err := filepath.Glob(storage + "/account-*.key")
	if err != nil || len(accounts) != 1 {
		t.Fatalf("%q, %v", accounts, err)
	}
	cert := filepath.Join(storage, "certificates", "a.example.pem")
	mark := bytes.Fields(fileOf(t, filepath.Join(storage, "state.json")))[0]
	secrets := [][]byte{}
	for _, k := range []keyed{keyOf(t, accounts[0]), keyOf(t, cert), retired} {
		secrets = append(secrets, k.secrets(t)[:2]...)
		secrets = append(secrets, bytes.Split(k.pem, []byte("\n"))[1])
	}
	h := seize(t, r.only())
	l := h.link()
	h.hold()
	l.drain()
	n := 0
	ask := func(m object) ([]byte, string) { n++; return answerTo(t, l, n<<32, m) }
	if data, failed := ask(object{"Op": "load", "Path": cert, "Fresh": true}); failed != "" || len(data) == 0 {
		t.Errorf("the certificate, which the worker needs: %s", failed)
	}
	paths := []string{cert, storage, filepath.Join(storage, "retired"), filepath.Join(storage, "retired", "b.example.pem"), accounts[0], filepath.Join(storage, "state.json"),
		filepath.Join(storage, "certificates", ".hidden.pem"), storage + "/certificates/../" + filepath.Base(accounts[0]), storage + "/certificates/../retired/b.example.pem"}
	for _, path := range paths {
		for _, m := range []object{{"Op": "read", "Path": path}, {"Op": "read", "Path": path, "Fresh": true}, {"Op": "read", "Path": path, "Dir": true},
			{"Op": "load", "Path": path, "Fresh": true}, {"Op": "load", "Path": cert, "Key": path, "Fresh": true}} {
			data, failed := ask(m)
			for i, s := range secrets {
				if bytes.Contains(data, s) || strings.Contains(failed, string(s)) {
					t.Errorf("%v: gives out secret %d: %q %q", m, i, data, failed)
				}
			}
			if path != cert && len(data) > 0 && m["Path"] == path || bytes.HasPrefix(data, append(mark, '\n')) {
				t.Errorf("%v: %q", m, data)
			}
		}
	}
	if data, _ := ask(object{"Op": "read", "Path": filepath.Dir(cert), "Dir": true}); bytes.Contains(data, []byte("hidden")) || !bytes.Contains(data, []byte("a.example.pem")) {
		t.Errorf("the names of certificates: %s", data)
	}
	if info, err := os.Stat(storage); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}
