package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netserver/daemon/internal/wire"
	"netserver/tlsparams"
	"netserver/tlsparams/handout"
)

func TestAllowedFiles(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		os.Chmod(d, 0o755)
	}
	named := filepath.Join(dir, "allow")
	os.WriteFile(named, []byte("# comment\ncn ann\n"), 0o600)
	a := &allowed{Handout: new(handout.Handout), uid: func() (int, []int) { return 65534, []int{65534} }}
	a.Add(tlsparams.Params{CertDir: dir, Client: tlsparams.Client{AllowFiles: []string{named, dir + "/gone"}}})
	for _, path := range []string{"/etc/shadow", dir + "/../../etc/shadow", dir + "2/x.pem", dir + "/.x.pem", dir + "/x", "etc/hostname", "/", ""} {
		if b, err := a.read(path, true); err == nil || err.Error() != wire.ReadItself {
			t.Errorf("%q: %q, %v", path, b, err)
		}
	}
	if b, err := a.read(named, true); string(b) != "cn ann\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := a.read(dir+"/gone", false); err == nil || err.Error() == wire.ReadItself {
		t.Errorf("a file that is named: %v", err)
	}
	os.Remove(named)
	os.Symlink("/etc/passwd", named)
	if b, err := a.read(named, true); b != nil || err == nil || !strings.HasPrefix(err.Error(), wire.Unusable) || strings.Contains(err.Error(), "root") {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := a.list(dir); string(b) != `[{"Name":"allow","Dir":false,"Gone":false}]` {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := a.list("/etc"); err == nil || err.Error() != wire.ReadItself {
		t.Errorf("%q, %v", b, err)
	}
	a.uid = func() (int, []int) { return -1, nil }
	if _, err := a.read(named, false); err == nil || err.Error() != wire.ReadItself {
		t.Errorf("for a worker of the same user: %v", err)
	}
}
