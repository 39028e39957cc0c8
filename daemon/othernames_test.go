//go:build unix

package daemon_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"netserver/daemon"
	"netserver/netservertest"
)

// What people know from other programs is answered with the key that it is here,
// and that key exists.
func TestNamesOfOtherPrograms(t *testing.T) {
	var help bytes.Buffer
	daemon.Command([]string{"--help", "all"}, nil, &help, &help)
	keyRE := regexp.MustCompile(`--(\w+)`)
	for args, want := range map[string]string{
		"--listen 127.0.0.1:443": "--port 127.0.0.1:443/ssl", "--bind 1": "--port", "--accept=1": "--port", "-p 80": "--port", "--listen-address x": "--port",
		"--target x": "--proxy_to", "--upstream x": "--proxy_to", "--connect x": "--proxy_to", "forward_to=x": "--proxy_to",
		"--key k.pem": "--SSL_key_file", "--cert c.pem --port 443/ssl": "--SSL_cert_file", "--certificate c": "--SSL_cert_file", "--ca c": "--SSL_ca_file", "--CAfile c": "--SSL_ca_file", "--CApath c": "--SSL_ca_path",
		"--tls": "--port PORT/ssl", "--client yes": "--backend_tls", "--verify 2": "--SSL_verify_mode", "--allow-cn x": "--SSL_allow_cn",
		"--config x": "--conf_file", "-c x": "--conf_file", "-f x": "--conf_file", "-d": "--background", "--daemon": "--background",
		"--debug": "--log_level", "--log x": "--log_file", "--uid 1": "--user", "--gid 1": "--group", "--threads 4": "--max_servers",
		"--send-proxy": "--backend_proxy_protocol", "--accept-proxy": "--proxy_protocol", "--timeout 3": "--timeout_idle", "--acl x": "--cidr_allow",
		"--exec x": "-- PROGRAM", "--backend 127.0.0.1:9 --port 1": "--proxy_to 127.0.0.1:9", "stop": "netserver ctl", "serve": "--conf_file FILE", "--foreground": "background is 1", "--check x.conf": "--check --conf_file FILE", "--test": "--check", "--host 127.0.0.1:9": "write --port 127.0.0.1:9", "--port 1/https": "write ssl",
	} {
		var out, errs bytes.Buffer
		code := daemon.Command(strings.Fields(args), nil, &out, &errs)
		_, hint, _ := strings.Cut(errs.String(), "; ")
		if code != 2 || !strings.Contains(hint, want) {
			t.Errorf("%s: status %d, %s\nwant %s", args, code, errs.String(), want)
		}
		for _, m := range keyRE.FindAllStringSubmatch(hint, -1) {
			if !strings.Contains(help.String(), "--"+m[1]+" ") && m[1] != "help" && !strings.Contains(help.String(), "--"+m[1]+"\n") {
				t.Errorf("%s: there is no key %s: %s", args, m[1], hint)
			}
		}
	}
	text := "[[listen]]\nport = 1\n[[listen.route]]\nproxy_pass = '127.0.0.1:9'\n"
	if _, _, stderr, _ := checkFile(t, text); !strings.Contains(stderr, "--proxy_to HOST:PORT") {
		t.Error(stderr)
	}
}

// Options may be written with dashes and in any case of letters, where that means
// one key, and not where unknown keys may be others'.
func TestOptionsInOtherSpellings(t *testing.T) {
	for _, args := range []string{
		"--port=1 --Proxy-To 127.0.0.1:9", "--PORT 1 --proxy-to=127.0.0.1:9", "--port 1 --proxyto 127.0.0.1:9",
		"--port 1 --proxy_to 127.0.0.1:9 --backend-tls --backend-verify=0", "--port 1 --ssl_verify_mode 0 --proxy-to 127.0.0.1:9 --port 127.0.0.1:2/ssl",
	} {
		code, out, errs := command(append(strings.Fields(args), "--check", "--user=root")...)
		if code != 0 || !strings.Contains(out, `"proxy_to": "127.0.0.1:9"`) && !strings.Contains(out, "127.0.0.1:9") || strings.Contains(errs, "unknown") {
			t.Errorf("%s: status %d: %s\n%.300s", args, code, errs, out)
		}
	}
	for args, want := range map[string]string{
		"--port 1 --Proxy-Too x":     `unknown key "Proxy-Too" (argument 3)`,
		"Proxy-To=127.0.0.1:9":       `unknown key "Proxy-To" (argument 1)`,
		"--SSL-cert":                 `unknown key "SSL-cert" (argument 1)`,
		"--proxy-to":                 "proxy_to: it needs a value (argument 1)",
		"--port 9301/tcp,9302/ssl":   "commas do not join ports",
		"--port 9301,9302":           "give each further port separately",
		"--verbose":                  "--log_level 4",
		"-p 80":                      "--port",
		"--bind 0.0.0.0 --daemon -c": "--background 1",
	} {
		if code, _, errs := command(strings.Fields(args)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d: %s", args, code, errs)
		}
	}
}

// What no client can send is no question for --check.
func TestCheckRefusesWhatNoClientSends(t *testing.T) {
	long := strings.Repeat("a", 5000)
	base := []string{"--check", "--user=root", "--port=127.0.0.1:1/ssl"}
	for want, args := range map[string][]string{
		"sni: \"a\\nb\" cannot be asked for by a client":        {"--sni=a\nb"},
		"sni: \"" + long[:80] + "\"... cannot":                  {"--sni=" + long},
		"sni: \"bücher.example\" cannot":                        {"--sni=bücher.example"},
		"alpn: \"h2\\n\" cannot be offered by a client":         {"--alpn=h2\n"},
		"alpn: \"" + long[:80] + "\"... cannot":                 {"--alpn=h2", "--alpn=" + long},
		"peer: \"fe80::1%a\\nb\" is not an address":             {"--peer=fe80::1%a\nb"},
		"peer: \"fe80::1%" + long[:72] + "\"... is not an addr": {"--peer=fe80::1%" + long},
		"peer: \"unix:a\\nb\": no such user":                    {"--peer=unix:a\nb"},
		"peer_host \"a\\nb\" is not a host name":                {"--peer=192.0.2.1", "--peer_host=a\nb"},
		"peer_host \"" + long[:80] + "\"... is not a host":      {"--peer=192.0.2.1", "--peer_host=" + long},
		"cert: \"a\\nb\": no such file":                         {"--cert=a\nb"},
		"cert: \"" + long[:80] + "\"...: file name too long":    {"--cert=" + long},
	} {
		var out, errs bytes.Buffer
		if code := daemon.Command(append(base, args...), nil, &out, &errs); code != 2 || !strings.Contains(errs.String(), want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%.60q: status %d, %q\nwant %q", args, code, errs.String(), want)
		}
	}
}

// For a port that wants a certificate an address is not enough, which --check
// says where it was told of none; and why an address is let in.
func TestCheckSaysWhatIsRequired(t *testing.T) {
	ca := netservertest.NewCA(t, "clients")
	const requires, rule = `"requires": "a client certificate (SSL_verify_mode)`, `"rule": "no rules for addresses: each may connect"`
	for _, c := range []struct {
		text     string
		args     []string
		requires bool
	}{
		{"SSL_verify_mode = 3\nSSL_ca_file = 'CA'\n", nil, true},
		{"SSL_verify_mode = 1\nSSL_ca_file = 'CA'\n", nil, false},
		{"SSL_verify_mode = 3\nSSL_ca_file = 'CA'\n", []string{"--cert=CA"}, false},
		{"SSL_verify_mode = 3\nSSL_ca_file = 'CA'\n[[listen.route]]\nsni = 'a.example'\npassthrough = true\nproxy_to = '127.0.0.1:9'\n", []string{"--sni=a.example"}, false},
		{"SSL_verify_mode = 3\nSSL_ca_file = 'CA'\n[[listen.route]]\nsni = 'a.example'\npassthrough = true\nproxy_to = '127.0.0.1:9'\n", []string{"--sni=b.example"}, true},
		{"", nil, false},
	} {
		args := []string{"--peer=192.0.2.1"}
		for _, a := range c.args {
			args = append(args, strings.Replace(a, "CA", ca.File(t), 1))
		}
		text := "[[listen]]\nport = '127.0.0.1:1/ssl'\n" + strings.ReplaceAll(c.text, "CA", ca.File(t))
		_, out, stderr, _ := checkFile(t, text, args...)
		if strings.Contains(out, requires) != c.requires || !strings.Contains(out, rule) && len(c.args) == 0 {
			t.Errorf("%s %q: %s %s", c.text, c.args, out, stderr)
		}
	}
}
