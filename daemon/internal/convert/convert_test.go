package convert

import (
	"bytes"
	"os"
	"path/filepath"
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
		"; x\ncert = /a\n[s]\naccept = 443\nconnect = 80\n":             Stunnel,
		"\uFEFF[s]\r\nAccept = 443\r\nconnect = 80\r\n":                 Stunnel,
		"frontend = \"[*]:443\"\nbackend = \"[127.0.0.1]:80\"\n":        Hitch,
		"pem-file = \"/x\"\n":                                           Hitch,
		"global\n    daemon\nfrontend a\n    bind :80\n    mode tcp\n":  HAProxy,
		"listen a\n\tbind :80\n\tserver s 127.0.0.1:1\n":                HAProxy,
		"# x\nexport PORT=80\nLOG_LEVEL=\"2\"\n":                        Shell,
		"NETSERVER_PORT=443/ssl":                                        Shell,
		"PORT=80\nlog_level 2\n":                                        "",
		"#!/usr/bin/perl -w\n":                                          Perl,
		"package MyServer;\nuse base 'Net::Server';\n":                  Perl,
		"my $x = { port => 80 };\n":                                     Perl,
		"{\n  port => 80,\n}\n":                                         Perl,
		"user nobody;\nevents {}\nhttp {\n  server { listen 80; }\n}\n": Nginx,
		"stream {\n  server {\n    listen 80;\n  }\n}\n":                Nginx,
		"http 1\nserver_revision x;\n":                                  "",
		"#!/bin/sh\nPORT=1\nexec x\n":                                   Shell,
		"{\"port\": 9301}\n":                                            JSON,
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
SSL_cert_file = "/all.pem"
timeout_idle = "1800"

# [slave]
[[listen.route]]
name = "slave"
sni = ["*.example"]
proxy_to = "localhost:5"

# [imaps]
[[listen.route]]
proxy_to = "localhost:143"
name = "imaps"

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
	for _, n := range []string{"engineCtrl: it is not", "[out]: stunnel did not verify", "[out]: protocolPassword is not", "[psk]: left out"} {
		if !strings.Contains(notes, n) {
			t.Errorf("no note %q in\n%s", n, notes)
		}
	}
	for _, secret := range []string{"1234", "geheim"} {
		if strings.Contains(toml+notes, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if strings.Count(notes, "\n") != 4 {
		t.Errorf("other notes:\n%s", notes)
	}
}

// Whose certificates count, and who has to show one, is as in stunnel; where
// that is not known, it is more.
func TestStunnelVerifies(t *testing.T) {
	pins := func(file string) ([]pin, error) {
		if file == "/none" {
			return nil, errNoCert
		}
		return []pin{{"aa", "bb"}, {"cc", "dd"}}, nil
	}
	for _, tt := range []struct{ text, want, note string }{
		{"verifyChain = yes\nCAfile = /ca", "SSL_verify_mode = 3\nSSL_ca_file = \"/ca\"", ""},
		{"verifyChain = yes\nrequireCert = no\nCAfile = /ca", "SSL_verify_mode = 1\nSSL_ca_file = \"/ca\"", ""},
		{"requireCert = no\nverifyChain = yes\nCAfile = /ca", "SSL_verify_mode = 3\nSSL_ca_file = \"/ca\"", ""},
		{"verify = 1\nCAfile = /ca", "SSL_verify_mode = 1\nSSL_ca_file = \"/ca\"", ""},
		{"verify = 2\nCAfile = /ca", "SSL_verify_mode = 3\nSSL_ca_file = \"/ca\"", ""},
		{"verify = 3\nCAfile = /ca", "SSL_verify_mode = 3\nSSL_fingerprint = [\"sha256$aa\", \"sha256$cc\"]\nSSL_force_fingerprint = 1\nSSL_ca_file = \"/ca\"", ""},
		{"verifyPeer = yes\nCAfile = /ca", "SSL_verify_mode = 3\nSSL_fingerprint = [\"sha256$aa\", \"sha256$cc\"]\nSSL_force_fingerprint = 1", ""},
		{"verifyPeer = yes\nCAfile = /none", "SSL_verify_mode = 3\nSSL_ca_file = \"/none\"", "could not be read: there is no certificate in it; their chains are verified"},
		{"verifyPeer = yes", "SSL_verify_mode = 3", "verifyPeer is not taken over without a CAfile"},
		{"client = yes\nverifyPeer = yes\nCAfile = /ca", "backend_pin = [\"bb\", \"dd\"]", ""},
		{"client = yes\nverifyPeer = yes\nverifyChain = yes\nCAfile = /ca", "backend_pin = [\"bb\", \"dd\"]\nbackend_ca_file = \"/ca\"", ""},
		{"verifyChain = yes\nCAfile = /ca\nOCSPaia = yes", "SSL_verify_mode = 3\nSSL_ocsp_check = \"hard\"\nSSL_ca_file = \"/ca\"", ""},
		{"verifyChain = yes\nCAfile = /ca\nOCSP = http://r/\nOCSPrequire = no", "SSL_verify_mode = 3\nSSL_ocsp_check = \"soft\"\nSSL_ocsp_responder = \"http://r/\"\nSSL_ca_file = \"/ca\"", ""},
		{"client = yes\nverifyChain = yes\nCAfile = /ca\nOCSPaia = yes", "backend_ca_file = \"/ca\"", "OCSP is not taken over"},
	} {
		var notes bytes.Buffer
		c := &converter{name: "x", notes: &notes, pins: pins}
		c.stunnel("[s]\naccept = 1\nconnect = 2\ncert = /c\n" + tt.text)
		text := c.text(Stunnel)
		_, got, _ := strings.Cut(text, "proxy_to = \"localhost:2\"\n")
		got = strings.TrimSpace(strings.NewReplacer("SSL_cert_file = \"/c\"\n", "", "backend_cert_file = \"/c\"\n", "").Replace(got))
		if got != tt.want || (tt.note == "") != (notes.Len() == 0) || !strings.Contains(notes.String(), tt.note) {
			t.Errorf("%s:\n%s\nwant\n%s\n%s", tt.text, got, tt.want, notes.String())
		}
	}
}

// A service that a name chooses has its own certificate, authorities and
// rules for that name, whatever the one that listens has.
func TestStunnelNames(t *testing.T) {
	toml, notes, err := convertText(t, `
cert = /all.pem
[main]
accept = 443
connect = 80
verifyChain = yes
CAfile = /ca.pem
[open]
sni = main:WWW.example
sni = main:*.open.example
cert = /open.pem
key = /open.key
connect = 81
connect = 82
[strict]
sni = main:strict.example
verifyChain = yes
CAfile = /strict.pem
exec = /bin/cat
TIMEOUTidle = 5
[odd]
sni = main:*odd*
connect = 1
[lost]
sni = nobody:a.example
connect = 1
`)
	want := `[[backend]]
name = "open"
targets = ["localhost:81", "localhost:82"]
balance = "round_robin"

# [main]
[[listen]]
port = "443/ssl"
SSL_verify_mode = { "" = 3, "*.open.example" = 0, "www.example" = 0 }
SSL_cert_file = { "" = "/all.pem", "*.open.example" = "/open.pem", "www.example" = "/open.pem" }
SSL_ca_file = { "" = "/ca.pem", "strict.example" = "/strict.pem" }
SSL_key_file = { "*.open.example" = "/open.key", "www.example" = "/open.key" }

# [open]
[[listen.route]]
name = "open"
sni = ["www.example", "*.open.example"]
backend = "open"

# [strict]
[[listen.route]]
name = "strict"
sni = ["strict.example"]
program = ["/bin/cat"]

# [main]
[[listen.route]]
proxy_to = "localhost:80"
name = "main"
`
	if err != nil || toml != want {
		t.Errorf("%v\nhave:\n%s\nwant:\n%s", err, toml, want)
	}
	for _, n := range []string{"[strict]: timeout_idle is not taken over", "[odd]: sni = main:*odd* is not", "[lost]: left out: a name chooses it, but no service that listens for TLS is called nobody"} {
		if !strings.Contains(notes, n) {
			t.Errorf("no note %q in\n%s", n, notes)
		}
	}
	if strings.Count(notes, "\n") != 3 {
		t.Errorf("other notes:\n%s", notes)
	}
}

func TestHitch(t *testing.T) {
	toml, notes, err := convertText(t, `
frontend = { host = "*" port = "443" pem-file = { cert = "/a.pem" private-key = "/a.key" } } # x
frontend = "[::1]:8443+/own.pem"
frontend = "[*]:8444"
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
backend_proxy_tlvs = ["alpn", "authority", "ssl"]
SSL_verify_mode = 3
SSL_ca_file = "/ca.pem"
SSL_alpn_protocols = ["h2", "http/1.1"]
SSL_ocsp_staple = 1

[[listen]]
port = "443/ssl"
SSL_cert_file = "/a.pem"
SSL_key_file = "/a.key"

[[listen]]
port = "[::1]:8443/ssl"
SSL_cert_file = "/own.pem"

[[listen]]
port = "8444/ssl"
SSL_cert_file = "/two.pem"
`
	if err != nil || toml != want {
		t.Errorf("%v\nhave:\n%s\nwant:\n%s", err, toml, want)
	}
	if !strings.Contains(notes, "pem-file: /one.pem is not taken over, because its names could not be read: no such file") || strings.Count(notes, "\n") != 1 {
		t.Error(notes)
	}
}

// Certificates are converted with the names in them, as hitch chooses by those.
func TestHitchCertificates(t *testing.T) {
	dir := t.TempDir()
	odd, plain := filepath.Join(dir, "odd"), filepath.Join(dir, "plain")
	for _, f := range []string{"odd/b.example", "odd/a.example", "odd/sub/x", "plain/x.pem", "plain/y.crt"} {
		file := filepath.Join(dir, f)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names := func(file string) ([]string, error) {
		switch base := filepath.Base(file); {
		case base == "none":
			return nil, errNoCert
		case base == "wild":
			return []string{"*.example", "example"}, nil
		default:
			return []string{base}, nil
		}
	}
	for _, tt := range []struct{ text, want, note string }{
		{`frontend = "[*]:1" pem-file = "/a" pem-file = "/wild" pem-file = "/b"`,
			`SSL_cert_file = { "" = "/b", "*.example" = "/wild", "a" = "/a", "example" = "/wild" }`, ""},
		// The last certificate with a name has it.
		{`frontend = "[*]:1" pem-file = "/x/a" pem-file = "/y/a" pem-file = "/z"`, `SSL_cert_file = { "" = "/z", "a" = "/y/a" }`, ""},
		{`frontend = "[*]:1" pem-file = "/x/a" pem-file = "/b" pem-file = "/y/a"`, `SSL_cert_file = { "" = "/y/a", "b" = "/b" }`, ""},
		{`frontend = "[*]:1" pem-file = { cert = "/a" private-key = "/k" } pem-file = "/b"`,
			"SSL_cert_file = { \"\" = \"/b\", \"a\" = \"/a\" }\nSSL_key_file = { \"a\" = \"/k\" }", ""},
		{`frontend = "[*]:1" pem-file = "/a" pem-file = { cert = "/b" private-key = "/k" ocsp-resp-file = "/r" }`,
			"SSL_cert_file = { \"\" = \"/b\", \"a\" = \"/a\" }\nSSL_key_file = \"/k\"\nSSL_ocsp_staple_file = \"/r\"", ""},
		{`frontend = { port = "1" pem-file = "/own" } pem-file = "/a"`, `SSL_cert_file = "/own"`, ""},
		{`frontend = { port = "1" pem-file = "/own" match-global-certs = on } pem-file = "/a"`, `SSL_cert_file = { "" = "/own", "a" = "/a" }`, ""},
		// Who has to show a certificate under one name has to under it alone.
		{`frontend = "[*]:1" pem-file = { cert = "/a" client-verify = required client-verify-ca = "/ca" } pem-file = "/b"`,
			"SSL_cert_file = { \"\" = \"/b\", \"a\" = \"/a\" }\nSSL_verify_mode = { \"a\" = 3 }\nSSL_ca_file = { \"a\" = \"/ca\" }", ""},
		{`frontend = { port = "1" client-verify = required client-verify-ca = "/ca" pem-file = { cert = "/a" client-verify = none } pem-file = "/b" }`,
			"SSL_verify_mode = { \"\" = 3, \"a\" = 0 }\nSSL_ca_file = \"/ca\"\nSSL_cert_file = { \"\" = \"/b\", \"a\" = \"/a\" }", ""},
		{`frontend = "[*]:1" client-verify = required client-verify-ca = "/ca" pem-file = { cert = "/a" client-verify-ca = "/own" } pem-file = { cert = "/c" client-verify = none } pem-file = "/b"`,
			"SSL_cert_file = { \"\" = \"/b\", \"a\" = \"/a\", \"c\" = \"/c\" }\nSSL_ca_file = { \"\" = \"/ca\", \"a\" = \"/own\" }\nSSL_verify_mode = { \"\" = 3, \"c\" = 0 }", ""},
		{`frontend = "[*]:1" pem-file = { cert = "/none" client-verify = required } pem-file = "/b"`, `SSL_cert_file = "/b"`, "client-verify = required of /none is not taken over"},
		{`frontend = { port = "1" client-verify = requierd pem-file = "/b" }`, "SSL_verify_mode = 3\nSSL_cert_file = \"/b\"", "client-verify: requierd is not taken over"},
		{`frontend = "[*]:1" pem-dir = "` + odd + `"`, `SSL_cert_file = { "" = "` + odd + `/a.example", "b.example" = "` + odd + `/b.example" }`, "the files that are in"},
		{`frontend = "[*]:1" pem-dir-glob = "b*" pem-dir = "` + odd + `"`, `SSL_cert_file = "` + odd + `/b.example"`, "the files that are in"},
		{`frontend = "[*]:1" pem-dir = "` + odd + `" pem-file = "/z"`, `SSL_cert_file = { "" = "/z", "a.example" = "` + odd + `/a.example", "b.example" = "` + odd + `/b.example" }`, "the files that are in"},
		{`frontend = "[*]:1" pem-dir = "` + plain + `"`, "", ""},
		{`frontend = "[*]:1" pem-dir = "/not/there" pem-dir-glob = "*"`, "", "pem-dir-glob: it is not taken over: /not/there cannot be read"},
		{`frontend = { port = "1" tls-protos = TLSv1.3 sni-nomatch-abort = off ciphers = "HIGH" pem-file = "/b" } backlog = 9 sni-nomatch-abort = on`,
			"listen = \"9\"\nSSL_version = \"TLSv1_3\"\nSSL_unknown_sni = \"default\"\nSSL_cipher_list = \"HIGH\"\nSSL_cert_file = \"/b\"", ""},
	} {
		var out, notes bytes.Buffer
		c := &converter{name: "x", notes: &notes, names: names, list: listDir}
		if err := c.hitch(tt.text + ` backend = "[127.0.0.1]:2"`); err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		out.WriteString(c.text(Hitch))
		_, port, _ := strings.Cut(out.String(), "[[listen]]\nport = \"1/ssl\"\n")
		if port = strings.TrimSpace(port); port != tt.want || (tt.note == "") != (notes.Len() == 0) || !strings.Contains(notes.String(), tt.note) {
			t.Errorf("%s:\n%s\nwant\n%s\n%s", tt.text, port, tt.want, notes.String())
		}
	}
}

func TestHitchOptions(t *testing.T) {
	toml, notes, err := convertText(t, `frontend = "[*]:1"
pem-file = "/b"
backend = "/run/v.sock"
tls-protos = TLSv1.0 TLSv1.2 TLSv1.3   # a list without quotation marks
workers = auto; quiet = on; log-level = 1
ciphersuites = "TLS_AES_128_GCM_SHA256"
ecdh-curve = "auto"
backend-connect-timeout = 20
ssl-handshake-timeout = 31
keepalive = 3600
syslog = on
syslog-facility = "local1"
backend-refresh = 5
write-proxy-v2 = on
proxy-authority = off
proxy-client-cert = on
prefer-server-ciphers = on
ocsp-dir = ""
write-ip = on
`)
	want := `proxy_to = "/run/v.sock"
proxy_connect_timeout = "20"
timeout_handshake = "31"
tcp_keepalive = "3600"
log_file = "Sys::Syslog"
syslog_facility = "local1"
backend_proxy_protocol = "v2"
backend_proxy_tlvs = ["alpn", "ssl", "cert"]

[[listen]]
port = "1/ssl"
SSL_cert_file = "/b"
`
	if err != nil || toml != want {
		t.Errorf("%v\nhave:\n%s\nwant:\n%s", err, toml, want)
	}
	for _, n := range []string{"tls-protos: TLSv1.0 is not", "ciphersuites: it is not", "proxy-client-cert: backend", "write-ip: it is not"} {
		if !strings.Contains(notes, n) {
			t.Errorf("no note %q in\n%s", n, notes)
		}
	}
	if strings.Count(notes, "\n") != 4 {
		t.Errorf("other notes:\n%s", notes)
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
