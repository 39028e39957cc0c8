package daemon_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// What the packages of stunnel and hitch bring as examples becomes a conf file
// that is right; that of stunnel with everything in it that is only a comment.
func TestConvertShippedExamples(t *testing.T) {
	netservertest.Peer(t, "stunnel4")
	netservertest.Peer(t, "hitch")
	pair := netservertest.NewCA(t, "site").Issue(t, netservertest.Leaf{})
	for name, blocks := range map[string]int{
		"/usr/share/doc/stunnel4/examples/stunnel.conf-sample": 9,
		"/usr/share/doc/hitch/examples/hitch.conf.example":     1,
	} {
		text, err := os.ReadFile(os.Getenv("SAMPLES_ROOT") + name)
		switch {
		case err != nil && os.Getenv("CI") == "true":
			t.Fatal(err)
		case err != nil:
			t.Skip(err) // a system without the documentation of packages
		}
		text = regexp.MustCompile(`(?m)^;([a-zA-Z\[])`).ReplaceAll(text, []byte("$1"))
		if strings.Contains(name, "hitch") {
			text = append(text, "\npem-file = { cert = \"/etc/stunnel/stunnel.pem\" private-key = \"KEY\" }\n"...)
		}
		dir := t.TempDir()
		theirs, ours := filepath.Join(dir, "theirs.conf"), filepath.Join(dir, "ours.toml")
		if err := os.WriteFile(theirs, text, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := command("convert", theirs)
		if code != 0 || strings.Count(out, "[[listen]]") != blocks {
			t.Errorf("%s: status %d\n%s\n%s", name, code, out, errs)
		}
		if strings.Contains(out+errs, "1234") {
			t.Error("a PIN is shown")
		}
		out = regexp.MustCompile(`(?m)^(user|group|pid_file|log_file|chroot|backend_cert_file) = .*\n`).ReplaceAllString(out, "")
		out = regexp.MustCompile(`(?m)^(SSL_cert_file) = .*\n`).ReplaceAllString(out, "$1 = '"+pair.CertFile+"'\n")
		out = regexp.MustCompile(`(?m)^(SSL_key_file|backend_key_file) = .*\n`).ReplaceAllString(out, "")
		out = strings.NewReplacer("SSL_cert_file = '"+pair.CertFile+"'\n", "SSL_cert_file = '"+pair.CertFile+"'\nSSL_key_file = '"+pair.KeyFile+"'\n").Replace(out)
		if err := os.WriteFile(ours, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := command("--check", "--user=root", "--conf_file", ours); code != 0 {
			t.Errorf("%s: status %d: %s\n%s", name, code, errs, out)
		}
	}
}

// A conf file of another program is named as that in one line, which says what
// helps.
func TestForeignConfFiles(t *testing.T) {
	stunnel := "cert = /x\n[imaps]\naccept = 993\nconnect = 143\n"
	for _, c := range []struct {
		name, text string
		args       []string
		code       int
		want       string
	}{
		{"s.conf", stunnel, nil, 2, "this is a conf file of stunnel: netserver convert"},
		{"s.toml", stunnel, nil, 2, "this is a conf file of stunnel: netserver convert"},
		{"h.conf", "frontend = \"[*]:443\"\nbackend = \"[127.0.0.1]:80\"\nuser = \"x\"\n", nil, 2, "this is a conf file of hitch"},
		{"ha.cfg", "global\n    daemon\n    user haproxy\nfrontend a\n    bind :80\n    mode tcp\n", nil, 2, "this is a conf file of HAProxy: docs/BACKENDS.md"},
		{"sh.conf", "PORT=80\nUSER=x\n", nil, 2, "this file sets shell variables"},
		{"sh.conf", "PORT=80\n", []string{"--port=7", "--unknown_keys=warn"}, 0, "warning: conf_file: this file sets shell variables"},
		{"n.conf", "events {\n}\nhttp {\n  server { listen 80; }\n}\n", nil, 2, "this is a conf file of nginx"},
		{"j.conf", "{\"port\": 80}\n", nil, 2, "this is JSON"},
		{"t.conf", "[[listen]]\nport = 80\n", nil, 2, "its name ends in .toml"},
		{"p.conf", "#!/usr/bin/perl\nuse strict;\nprint 1;\n", nil, 2, "this is Perl: "},
		{"e.conf", "# port 7\n", []string{"--port=7"}, 0, "warning: conf_file: e.conf sets no key"},
		{"ours.conf", "port 7\nprt 8\n", nil, 2, `unknown key "prt" (ours.conf:2); did you mean port?`},
	} {
		file := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errs := command(append([]string{"--check", "--user=root", "--conf_file", file}, c.args...)...)
		errs = strings.ReplaceAll(errs, file, c.name)
		if code != c.code || !strings.Contains(errs, c.want) || code != 0 && strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d:\n%s", c.name, code, errs)
		}
	}
}

func TestConvertUsage(t *testing.T) {
	for _, args := range [][]string{{"convert"}, {"convert", "a", "b"}, {"convert", "-x"}, {"init", "x"}, {"convert", "/nonexistent"}, {"convert", "/"}} {
		if code, out, errs := command(args...); code != 2 || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d %s%s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{{"convert", "--help"}, {"convert", "-h"}, {"init", "--help"}, {"init", "help"}} {
		if code, out, errs := command(args...); code != 0 || strings.Count(out, "\n") != 1 || errs != "" {
			t.Errorf("%q: status %d %s%s", args, code, out, errs)
		}
	}
}
