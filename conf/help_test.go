package conf

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// helpSet has a key of every look.
func helpSet() *Set {
	var s Set
	host, mask := []string{"::1", "127.0.0.1"}, "hunter2"
	s.Define(Key{Name: "conf_file", Arg: "PATH", Help: "a file with more keys"}, String(new(string)))
	s.Define(Key{Name: "port", Group: "Ports", Arg: "SPEC", List: true, Default: "20203/tcp", PerPort: true,
		Help: "a port to listen on: a number or a service name, and after a slash its protocol; or the path of a socket and |unix"},
		Strings(new([]string)))
	s.Define(Key{Name: "host", Group: "Ports", Arg: "ADDRESS", List: true, Help: "where to listen"}, Strings(&host))
	s.Define(Key{Name: "max_connections", Group: "Limits", Arg: "N", PerPort: true, Help: "clients at once"}, Int(new(int), 0, 10))
	s.Define(Key{Name: "leave_children_open_on_hup", Group: "Limits", Help: "let clients finish"}, Bool(new(bool)))
	s.Define(Key{Name: "SSL_cert_file", Group: "TLS", Map: true, PerPort: true}, Raw(new([]Value)))
	s.Define(Key{Name: "SSL_password", Group: "TLS", Secret: true, Help: "of the key"}, String(&mask))
	s.Define(Key{Name: "ipv", Group: "Ports", Help: "4, 6 or *"}, String(new(string)))
	s.Define(Key{Name: "SSL_dh_file", Group: "Unavailable", Refuse: "crypto/tls has no | finite-field groups"}, nil)
	return &s
}

func TestHelp(t *testing.T) {
	var b strings.Builder
	if err := helpSet().Help(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/help.txt", b.String())
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > helpWidth {
			t.Errorf("too wide: %s", line)
		}
	}
	if strings.Contains(b.String(), "hunter2") || strings.Contains(b.String(), "SSL_dh_file") {
		t.Error("help shows what it must not")
	}
}

func TestHelpOfGroups(t *testing.T) {
	var b strings.Builder
	if err := helpSet().Help(&b, "TLS", "Limits"); err != nil {
		t.Fatal(err)
	}
	tls, limits := strings.Index(b.String(), "TLS\n"), strings.Index(b.String(), "Limits\n")
	if tls != 0 || limits < tls || strings.Contains(b.String(), "--port") {
		t.Error(b.String())
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := helpSet().Markdown(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/keys.md", b.String())
}

// golden compares text with a file, or writes it.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs (go test ./conf -run '%s' -update):\n%s", path, t.Name(), text)
	}
}

func TestHelpReportsWriteErrors(t *testing.T) {
	if err := helpSet().Help(failing{}); err == nil {
		t.Error("Help")
	}
	if err := helpSet().Markdown(failing{}); err == nil {
		t.Error("Markdown")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }
