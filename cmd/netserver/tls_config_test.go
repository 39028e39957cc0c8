//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestParametersPerPort gives each port parameters of its own, over those of
// all ports, in a TOML file.
func TestParametersPerPort(t *testing.T) {
	b := newTLSBed(t)
	file := b.path("server.toml")
	write(t, file, `host = "127.0.0.1"
SSL_cert_file = "`+b.one.file+`"
SSL_version = "TLSv1_2"

[[listen]]
port = "0/ssl"

[[listen]]
port = "0/ssl"
SSL_version = "TLSv1_3"
SSL_verify_mode = 3
SSL_ca_file = "`+b.caFile+`"
SSL_allow_cn = ["ann", "cat"]

[[listen]]
port = "0/ssl"
SSL_cert_file = { "" = "`+b.one.file+`", "two.example.com" = "`+b.two.file+`" }
SSL_verify_mode = { "" = 0, "two.example.com" = 3 }
SSL_ca_file = { "two.example.com" = "`+b.caFile+`" }
SSL_alpn_protocols = ["x"]

[[listen]]
port = "0/tcp"
`)
	s := start(t, "--conf_file", file)
	for _, c := range []struct {
		port         int
		client, want string
	}{
		{0, "-tls1_2", comesIn},
		{0, "-tls1_3", "!" + comesIn},
		{1, "-tls1_2 -cert ANN", "!" + comesIn},
		{1, "-tls1_3", "!" + comesIn},
		{1, "-tls1_3 -cert ANN", comesIn},
		{1, "-tls1_3 -cert BOB", "!" + comesIn},
		{2, "-servername one.example.com -alpn x", "ALPN protocol: x"},
		{2, "-servername one.example.com", comesIn},
		{2, "-servername two.example.com", "!" + comesIn},
		{2, "-servername two.example.com -cert ANN", "subject=CN = two.example.com"},
		{2, "-servername two.example.com -cert ANN", comesIn},
		{2, "-tls1_3", "!" + comesIn},
	} {
		out := sclient(t, s.addr(c.port), b.args(c.client)...)
		want, absent := strings.CutPrefix(c.want, "!")
		if strings.Contains(out, want) == absent {
			t.Errorf("port %d, %s: want %q\n%s", c.port, c.client, c.want, out)
		}
	}
	p := run(t, "socat", "-", "TCP:"+s.addr(3))
	p.echoes()
	p.all()
	s.stop()
}

// TestNamesInConfLines gives values by SNI name in a conf file of lines.
func TestNamesInConfLines(t *testing.T) {
	b := newTLSBed(t)
	file := b.path("server.conf")
	write(t, file, `host 127.0.0.1
port 0/ssl
SSL_cert_file `+b.one.file+`
SSL_cert_file = two.example.com=`+b.two.file+`
SSL_verify_mode two.example.com=3
SSL_ca_file `+b.caFile+`
`)
	s := start(t, "--conf_file", file)
	for client, want := range map[string]string{
		"-noservername":                         "subject=CN = one.example.com",
		"-servername one.example.com":           comesIn,
		"-servername two.example.com -cert ANN": "subject=CN = two.example.com",
		"-servername two.example.com":           "!" + comesIn,
		"-servername twO.example.com":           "!" + comesIn,
		"-servername two.example.com -cert BOB": "!" + comesIn,
	} {
		out := sclient(t, s.addr(0), b.args(client)...)
		text, absent := strings.CutPrefix(want, "!")
		if strings.Contains(out, text) == absent {
			t.Errorf("%s: want %q\n%s", client, want, out)
		}
	}
	s.stop()
	refuses(t, 2, `SSL_cert_file: has "EX..MPLE.com" where a host name belongs`, "--host", "127.0.0.1", "--port", "0/ssl", "--SSL_cert_file", "EX..MPLE.com="+b.one.file)
}

// TestVerdictsInRecords finds who came in, by what, and who did not, in the
// log.
func TestVerdictsInRecords(t *testing.T) {
	b := newTLSBed(t)
	s := b.start(t, b.args("--log_level 4 --SSL_verify_mode 1 --SSL_ca_file CA --SSL_allow_email ann@example.org")...)
	for _, client := range []string{"-cert ANN -servername x.example.com", "-cert BOB", ""} {
		sclient(t, s.addr(0), b.args(client)...)
	}
	for _, want := range []string{
		`served .*tls="TLS 1.3" .*sni=x\.example\.com certificate="?CN=ann,OU=Unit of ann"? verdict="allowed by email ann@example\.org"`,
		`denied .*stage=handshake.*bob\S* \(serial \w+\) is not signed by an authority of SSL_ca_file`,
	} {
		s.awaitLog(want)
	}
	s.stop()
}

// TestProgramKnowsItsClient has a program print what it is told of a client's
// certificate.
func TestProgramKnowsItsClient(t *testing.T) {
	b := newTLSBed(t)
	s := b.start(t, b.args("--SSL_verify_mode 1 --SSL_ca_file CA --SSL_fingerprint "+"sha256$"+fingerprint(b.bob)+" -- env")...)
	for client, want := range map[string]string{
		"-cert ANN": "SSL_CLIENT_VERIFY=SUCCESS",
		"-cert BOB": "SSL_CLIENT_S_DN_CN=bob",
		"-tls1_2 -cert ANN -servername one.example.com": "SSL_CLIENT_S_DN_CN=ann",
		"": "SSL_CLIENT_VERIFY=NONE",
	} {
		if out := sclient(t, s.addr(0), b.args(client)...); !strings.Contains(out, want) {
			t.Errorf("%q: want %s\n%s", client, want, out)
		}
	}
	s.stop()
}

// TestCheckExplainsCertificates asks the command what it would do, without
// starting it, and compares with what it then does.
func TestCheckExplainsCertificates(t *testing.T) {
	b := newTLSBed(t)
	args := b.args("--host 127.0.0.1 --port 0/ssl --SSL_cert_file ONE --SSL_cert_file two.example.com=TWO " +
		"--SSL_verify_mode two.example.com=3 --SSL_ca_file CA --SSL_allow_cn two.example.com=ann")
	s := start(t, args...)
	for _, c := range []struct {
		cert, sni, certificate, rule, reason string
		allowed                              bool
	}{
		{"ANN", "two.example.com", "two.example.com", `for the name "two.example.com": a client certificate is required`, "allowed by cn ann", true},
		{"BOB", "two.example.com", "two.example.com", "required", "not signed by an authority", false},
		{"", "two.example.com", "two.example.com", "required", "it showed none", false},
		{"BOB", "one.example.com", "one.example.com", "no client certificate is asked for", "no certificate asked", true},
	} {
		ask := append([]string{"--check", "--peer", "127.0.0.1", "--sni", c.sni}, args...)
		client := []string{"-servername", c.sni}
		if c.cert != "" {
			ask = append(ask, b.args("--cert "+c.cert)...)
			client = append(client, b.args("-cert "+c.cert)...)
		}
		out, err := exec.Command(binary, ask...).Output()
		var got struct {
			TLS []struct {
				Port, Certificate, Rule, Reason string
				Allowed                         bool
			}
		}
		if (err != nil) == c.allowed || json.Unmarshal(out, &got) != nil || len(got.TLS) != 1 {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
		e := got.TLS[0]
		if e.Allowed != c.allowed || !strings.Contains(e.Certificate, c.certificate) || !strings.Contains(e.Rule, c.rule) || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%v: got %+v", c, e)
		}
		if real := strings.Contains(sclient(t, s.addr(0), client...), comesIn); real != e.Allowed {
			t.Errorf("%v: --check says allowed %v, and the server lets it in: %v", c, e.Allowed, real)
		}
	}
	s.stop()
}

// What a start would warn of, --check tells too.
func TestCheckTellsWarnings(t *testing.T) {
	b := newTLSBed(t)
	cmd := exec.Command(binary, b.args("--check --host 127.0.0.1 --port 0/ssl --SSL_cert_file ONE --SSL_version SSLv23:!TLSv1")...)
	cmd.Stdout = new(bytes.Buffer)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil || !strings.Contains(said.String(), "netserver: warning: port 127.0.0.1:0/ssl: SSL_version") {
		t.Errorf("%v: %s", err, &said)
	}
}

// TestSecretsStaySecret makes what has to do with keys and passwords fail, and
// looks for them in all that the command says.
func TestSecretsStaySecret(t *testing.T) {
	b := newTLSBed(t)
	secrets := []string{"Xsesame1X", "Xwrong2X", "Xargument3X", "Xkeyfile4X", "Xticket5X", "Xvalue6X"}
	openssl(t, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", b.one.file, "-out", b.path("enc.key"), "-passout", "pass:Xsesame1X")
	openssl(t, "ec", "-aes128", "-in", b.one.file, "-out", b.path("old.key"), "-passout", "pass:Xsesame1X")
	openssl(t, "pkcs12", "-export", "-in", b.one.file, "-out", b.path("one.p12"), "-passout", "pass:Xsesame1X")
	write(t, b.path("right"), "Xsesame1X\n")
	write(t, b.path("wrong"), "Xwrong2X\n")
	write(t, b.path("two-lines"), "Xwrong2X\nXsesame1X\n")
	write(t, b.path("bad.key"), "-----BEGIN PRIVATE KEY-----\nXkeyfile4X\n-----END PRIVATE KEY-----\n")
	write(t, b.path("ticket"), "Xticket5X too short")
	body := regexp.MustCompile(`(?s)KEY-----\n(.{60})`).FindStringSubmatch(keyPEM(t, b.one.key))
	secrets = append(secrets, body[1])
	failing := []string{
		"--SSL_key_file DIR/enc.key --SSL_passwd_file DIR/wrong",
		"--SSL_key_file DIR/old.key --SSL_passwd_file DIR/wrong",
		"--SSL_key_file DIR/enc.key --SSL_passwd_file DIR/two-lines",
		"--SSL_key_file DIR/enc.key",
		"--SSL_cert_file DIR/one.p12 --SSL_passwd_file DIR/wrong",
		"--SSL_key_file DIR/bad.key",
		"--SSL_ticket_key_file DIR/ticket",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=echo~Xwrong2X~Xargument3X",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=/no/such~Xargument3X",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=sh~-c~false~Xargument3X",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=sh~-c~Xargument3X",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=cat~DIR/right~--SSL_passwd_comand=Xvalue6X",
		"--SSL_passwd Xvalue6X",
		"--SSL_passwd_cb Xvalue6X",
		"--SSL_psk Xvalue6X",
		"--SSL_key Xvalue6X",
	}
	working := []string{
		"--SSL_key_file DIR/enc.key --SSL_passwd_file DIR/right",
		"--SSL_key_file DIR/old.key --SSL_passwd_file DIR/right",
		"--SSL_cert_file DIR/one.p12 --SSL_passwd_file DIR/right",
		"--SSL_key_file DIR/enc.key --SSL_passwd_command=head~-c10~DIR/right~--",
	}
	base := []string{"--host", "127.0.0.1", "--port", "0/ssl", "--log_level", "4"}
	arrange := func(line string) []string {
		if !strings.Contains(line, "SSL_cert_file") {
			line = "--SSL_cert_file ONE " + line
		}
		args := append(append([]string{}, base...), b.args(line)...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "~", " ")
		}
		return args
	}
	clean := func(what, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s: shows %s:\n%s", what, s, text)
			}
		}
	}
	for _, line := range failing {
		text, status := refusal(t, arrange(line)...)
		if status != 2 {
			t.Errorf("%s: status %d, %s", line, status, text)
		}
		clean(line, text)
		out, _ := exec.Command(binary, append([]string{"--check"}, arrange(line)...)...).CombinedOutput()
		clean("--check "+line, string(out))
	}
	for _, line := range working {
		args := arrange(line)
		s := start(t, args...)
		if out := sclient(t, s.addr(0)); !strings.Contains(out, comesIn) {
			t.Errorf("%s:\n%s", line, out)
		}
		write(t, b.path("enc.key"), "-----BEGIN PRIVATE KEY-----\nXkeyfile4X\n-----END PRIVATE KEY-----\n")
		s.stop()
		clean(line, s.log.String())
		openssl(t, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", b.one.file, "-out", b.path("enc.key"), "-passout", "pass:Xsesame1X")
		out, err := exec.Command(binary, append([]string{"--check"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("--check %s: %v\n%s", line, err, out)
		}
		clean("--check "+line, string(out))
	}
}
