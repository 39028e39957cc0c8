package convert

import (
	"bytes"
	"strings"
	"testing"
)

func TestKindOf(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"port 443/ssl\nuser nobody\n":        "",
		"port = 443\n[[listen]]\nport = 1\n": "",
		"backend = 'x'\n":                    "",
		"connect = 1\nmotd = x\n":            "",
		"; x\ncert = /a\n[s]\naccept = 443\nconnect = 80\n":            Stunnel,
		"\uFEFF[s]\r\nAccept = 443\r\nconnect = 80\r\n":                Stunnel,
		"frontend = \"[*]:443\"\nbackend = \"[127.0.0.1]:80\"\n":       Hitch,
		"pem-file = \"/x\"\n":                                          Hitch,
		"global\n    daemon\nfrontend a\n    bind :80\n    mode tcp\n": HAProxy,
		"listen a\n\tbind :80\n\tserver s 127.0.0.1:1\n":               HAProxy,
		"# x\nexport PORT=80\nLOG_LEVEL=\"2\"\n":                       Shell,
		"NETSERVER_PORT=443/ssl":                                       Shell,
		"PORT=80\nlog_level 2\n":                                       "",
		"#!/usr/bin/perl -w\n":                                         Perl,
		"package MyServer;\nuse base 'Net::Server';\n":                 Perl,
		"my $x = { port => 80 };\n":                                    Perl,
	} {
		if got := KindOf([]byte(text)); got != want {
			t.Errorf("%q is of %q, want %q", text, got, want)
		}
	}
}

func convertText(t *testing.T, text string) (toml, notes string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = Convert(&out, &errs, "x.conf", []byte(text))
	_, toml, _ = strings.Cut(out.String(), "\n\n")
	return toml, errs.String(), err
}

func TestStunnel(t *testing.T) {
	toml, notes, err := convertText(t, `
setuid = stunnel4
debug = 7
engineCtrl = PIN:1234
cert = /all.pem
[imaps]
accept = 993
connect = 143
TIMEOUTidle = 1800
[many]
accept = ::1:444
cert = /own.pem
CAfile = /ca.pem
verifyChain = yes
requireCert = yes
checkHost = a.example
checkHost = b.example
connect = 10.0.0.1:1
connect = 10.0.0.2:1
failover = prio
options = NO_SSLv3
[out]
client = yes
accept = 127.0.0.1:25
connect = mail.example:587
protocol = smtp
protocolPassword = geheim
[psk]
accept = 1
PSKsecrets = /x
exec = /bin/sh
[shell]
accept = 2
exec = /bin/sh
execArgs = sh -i "q
[slave]
sni = imaps:*.example
connect = 5
`)
	if err != nil {
		t.Fatal(err)
	}
	want := `user = "stunnel4"
log_level = 4

[[backend]]
name = "many"
targets = ["10.0.0.1:1", "10.0.0.2:1"]
balance = "priority"

# [imaps]
[[listen]]
port = "993/ssl"
proxy_to = "localhost:143"
SSL_cert_file = "/all.pem"
timeout_idle = "1800"

# [many]
[[listen]]
port = "[::1]:444/ssl"
backend = "many"
SSL_verify_mode = 3
SSL_cert_file = "/own.pem"
SSL_ca_file = "/ca.pem"
SSL_allow_dns = ["a.example", "b.example"]

# [out]
[[listen]]
port = "127.0.0.1:25"
backend_tls = true
proxy_to = "mail.example:587"
backend_verify = 0
backend_cert_file = "/all.pem"
backend_starttls = "smtp"

# [shell]
[[listen]]
port = "2/ssl"
program = ["/bin/sh", "-i", "\"q"]
SSL_cert_file = "/all.pem"
`
	if toml != want {
		t.Errorf("have:\n%s\nwant:\n%s", toml, want)
	}
	for _, n := range []string{"engineCtrl: it is not", "[out]: stunnel did not verify", "[out]: protocolPassword is not", "[psk]: left out", "[slave]: left out: a service chosen by name"} {
		if !strings.Contains(notes, n) {
			t.Errorf("no note %q in\n%s", n, notes)
		}
	}
	for _, secret := range []string{"1234", "geheim"} {
		if strings.Contains(toml+notes, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if strings.Count(notes, "\n") != 5 {
		t.Errorf("other notes:\n%s", notes)
	}
}

func TestHitch(t *testing.T) {
	toml, notes, err := convertText(t, `
frontend = { host = "*" port = "443" pem-file = { cert = "/a.pem" private-key = "/a.key" } } # x
frontend = "[::1]:8443+/own.pem"
backend = "[127.0.0.1]:6086"
pem-file = "/one.pem"
pem-file = "/two.pem"
workers = 4; daemon = on
user = "hitch"
write-proxy-v2 = on
client-verify = required
client-verify-ca = "/ca.pem"
alpn-protos = "h2, http/1.1"
ocsp-dir = "/x"
`)
	want := `proxy_to = "127.0.0.1:6086"
background = 1
user = "hitch"
backend_proxy_protocol = "v2"
SSL_verify_mode = 3
SSL_ca_file = "/ca.pem"
SSL_alpn_protocols = ["h2", "http/1.1"]

[[listen]]
port = "443/ssl"
SSL_cert_file = "/a.pem"
SSL_key_file = "/a.key"

[[listen]]
port = "[::1]:8443/ssl"
SSL_cert_file = "/two.pem"
`
	if err != nil || toml != want {
		t.Errorf("%v\nhave:\n%s\nwant:\n%s", err, toml, want)
	}
	if !strings.Contains(notes, "pem-file: /one.pem is not taken over") || !strings.Contains(notes, "ocsp-dir: it is not") {
		t.Error(notes)
	}
}

func TestConvertRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "does not look like",
		"port 80\n":                     "does not look like",
		"[s]\nconnect = 5\ncert = /x\n": "no port is listened on",
		"frontend = \"[*]:443\"\nx = {": "a block has no end",
		"frontend = \"[*]:443\"\n= }":   "NAME = VALUE is expected",
		"global\nfrontend a\n bind :1\n mode tcp": "can be converted; this is a conf file of HAProxy",
	} {
		if toml, _, err := convertText(t, text); err == nil || !strings.Contains(err.Error(), want) || toml != "" {
			t.Errorf("%q: %v %q", text, err, toml)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add("[s]\naccept = 1\nconnect = 2\ncert = a\"\\\x1b\n")
	f.Add("frontend = { port = \"1\" }\nbackend = \"[::1]:2\"\npem-file = \"a\"")
	f.Fuzz(func(t *testing.T, text string) {
		var out, notes bytes.Buffer
		Convert(&out, &notes, "x", []byte(text))
		for _, b := range append(out.Bytes(), notes.Bytes()...) {
			if b < ' ' && b != '\n' {
				t.Fatalf("%q: a control character is printed: %q %q", text, out.Bytes(), notes.Bytes())
			}
		}
	})
}
