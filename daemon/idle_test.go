package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/wire"
)

// Every key says when it has an effect, in words that somebody knows.
func TestEveryKeyDeclaresItsEffect(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	facts := new(Config).facts(&invocation{})
	if len(facts) != len(factTexts) {
		t.Errorf("%d facts are stated, %d are in the table", len(facts), len(factTexts))
	}
	for _, f := range factTexts {
		if _, ok := s.Lookup(f.name); ok {
			t.Errorf("%s is the name of a fact and of a key", f.name)
		}
	}
	for _, k := range s.Keys() {
		if k.Refuse != "" {
			continue
		}
		if strings.TrimSpace(string(k.When)) == "" {
			t.Errorf("%s does not say when it has an effect (conf.Key.When)", k.Name)
		}
		for _, word := range k.When.Words() {
			_, isFact := facts[word]
			if _, isKey := s.Lookup(word); !isFact && !isKey {
				t.Errorf("%s has an effect with %q, which is neither a fact nor a key", k.Name, word)
			}
		}
	}
}

// The keys of tables say so too. What they name may be a key of the table, or
// of what is around it.
func TestEveryKeyOfATableDeclaresItsEffect(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	new(Config).DefineTables(&s)
	facts := new(Config).facts(&invocation{})
	for _, table := range s.Tables() {
		for _, k := range s.Table(table.Name).Keys() {
			if k.Refuse == "" && strings.TrimSpace(string(k.When)) == "" {
				t.Errorf("[[%s]]: %s does not say when it has an effect (conf.Key.When)", table.Name, k.Name)
			}
			for _, word := range k.When.Words() {
				_, isFact := facts[word]
				_, isKey := s.Lookup(word)
				_, isOwn := s.Table(table.Name).Lookup(word)
				if !isFact && !isKey && !isOwn {
					t.Errorf("[[%s]]: %s has an effect with %q, which is neither a fact nor a key", table.Name, k.Name, word)
				}
			}
		}
	}
}

// sampleOf returns a value that a key can be given and that asks for something.
func sampleOf(k conf.Key) string {
	switch k.Name {
	case "server_type":
		return "Single"
	case "unknown_keys":
		return "warn"
	case "access_log_limit":
		return "served=1"
	case "log_format":
		return "json"
	case "ipv":
		return "4"
	case "unix_type":
		return "SOCK_STREAM"
	case "cluster":
		return "dir:/"
	case "cluster_health_quorum":
		return "2"
	case "cluster_start":
		return "refuse"
	case "http_redirect":
		return "443"
	case "proxy_to", "port", "admin":
		return "127.0.0.1:1"
	case "host", "peer":
		return "127.0.0.1"
	case "backend_proxy_tlvs":
		return "ssl"
	case "reverse_lookups", "double_reverse_lookups", "SSL_verify_mode", "SSL_check_crl":
		return "1"
	case "backend_verify":
		return "0"
	case "backend_pin":
		return strings.Repeat("0a", 32)
	case "SSL_version", "backend_version":
		return "TLSv1_3"
	case "SSL_cipher_list", "backend_cipher_list":
		return "ECDHE-RSA-AES128-GCM-SHA256"
	case "SSL_ciphersuites":
		return "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
	case "SSL_ecdh_curve", "backend_curves":
		return "X25519"
	case "SSL_fingerprint", "SSL_allow_spki":
		return "sha256$pub$" + strings.Repeat("0a", 32)
	case "SSL_allow_ip":
		return "192.0.2.1"
	case "SSL_allow_uri":
		return "spiffe://example.org/x"
	case "SSL_allow_email":
		return "a@example.org"
	case "SSL_ocsp_responder":
		return "http://127.0.0.1:1/"
	case "leave_children_open_on_hup", "rules_close":
		return "0"
	case "syslog_logsock":
		return "stream"
	case "syslog_logopt":
		return "pid"
	case "syslog_facility":
		return "mail"
	case "access_shadow":
		return "all"
	case "exec_pty_size":
		return "132x43"
	case "exec_max_memory", "exec_cgroup_memory":
		return "7M"
	case "starttls", "backend_starttls":
		return "smtp"
	}
	if i := strings.LastIndex(k.Arg, "|"); i >= 0 && k.Arg != "0-4" {
		return k.Arg[i+1:]
	}
	switch k.Arg {
	case "NETWORK", "NETWORKS":
		return "192.0.2.0/24"
	case "MODE":
		return "0640"
	case "SIGNAL", "SIGNALS":
		return "WINCH"
	case "N", "SECONDS", "BYTES", "TIME", "PERCENT":
		return "7"
	case "0-4":
		return "3"
	case "", "BOOL":
		return "1"
	}
	return "x"
}

// idleOf returns what is said of key when it is given beside args.
func idleOf(t *testing.T, v *invocation, k conf.Key, args ...string) string {
	t.Helper()
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--"+k.Name+"=") }) {
		args = append([]string{"--" + k.Name + "=" + sampleOf(k)}, args...)
	}
	if i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "--") }); i > 0 {
		args = append([]string{args[i]}, slices.Delete(slices.Clone(args), i, i+1)...) // the type comes first
	}
	set, c := v.newSet()
	a := set.ReadArgs(args, types...)
	res, err := v.load(set, c, &a)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	v.complete(t.Context(), c, res) // what is wrong with values is not asked here
	warned, err := v.idleKeys(c, res)
	for _, w := range warned {
		if strings.HasPrefix(w, k.Name+" ") {
			return "warning: " + w
		}
	}
	var all conf.Problems
	errors.As(err, &all)
	for _, e := range all {
		if strings.HasPrefix(e.Error(), k.Name+" ") {
			return e.Error()
		}
	}
	return ""
}

// starts are servers of every kind. A key is idle in some of them and has an
// effect in some.
var starts = map[string][]string{
	"echo":             {"--port=127.0.0.1:0"},
	"raw":              {"--port=127.0.0.1:0", "--echo=raw"},
	"tls":              {"--port=127.0.0.1:0/ssl", "--SSL_cert_file=self-signed"},
	"udp":              {"--port=127.0.0.1:0/udp"},
	"unix":             {"--port=/tmp/x|unix"},
	"dgram":            {"--port=/tmp/x|unixdgram"},
	"proxy":            {"--port=127.0.0.1:0", "--port=127.0.0.1:0/udp", "--proxy_to=127.0.0.1:1"},
	"headers":          {"--port=127.0.0.1:0", "--proxy_to=127.0.0.1:1", "--backend_proxy_protocol=v2"},
	"mail":             {"--port=127.0.0.1:0/ssl", "--SSL_cert_file=self-signed", "--proxy_to=127.0.0.1:1"},
	"secured":          {"--port=127.0.0.1:0", "--proxy_to=127.0.0.1:1", "--backend_tls=1"},
	"inet":             {"INET"},
	"prefork":          {"PreFork", "--port=127.0.0.1:0"},
	"simple":           {"PreForkSimple", "--port=127.0.0.1:0"},
	"single":           {"Single", "--port=127.0.0.1:0"},
	"alone":            {"--port=127.0.0.1:0", "--supervisor=0"},
	"check":            {"--port=127.0.0.1:0/ssl", "--check=1", "--peer=127.0.0.1"},
	"syslog":           {"--port=127.0.0.1:0", "--log_file=Sys::Syslog"},
	"access to syslog": {"--port=127.0.0.1:0", "--access_log_file=Sys::Syslog"},
	"names":            {"--port=127.0.0.1:0", "--reverse_lookups=1", "--allow=x"},
	"admin":            {"--port=127.0.0.1:0", "--admin=127.0.0.1:0"},
	"limits":           {"--port=127.0.0.1:0", "--min_read_rate=7", "--penalty_points=7", "--proxy_protocol=require", "--control_socket=/tmp/c", "--allow_file=/tmp/a"},
	"acme":             {"--port=127.0.0.1:0/ssl", "--acme_domains=a.example", "--acme_eab_kid=x", "--acme_eab_key_file=/tmp/x"},
	"http":             {"HTTP", "--port=127.0.0.1:0", "--access_log_file=/tmp/l"},
	"apps":             {"--port=127.0.0.1:0", "--app=/=true"},
	"cluster":          {"--port=127.0.0.1:0", "--cluster=dir:/"},
	"checked":          {"--cluster=dir:/", "--conf_file=../packaging/examples/balance.toml"},
	"no jail":          {"--port=127.0.0.1:0", "--landlock=0"},
}

// Each key with a condition is named in a start where that does not hold, and
// in none where it does; those of Net::Server in a warning, unless the fact
// guards something.
func TestEveryIdleKeyIsNamed(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	programs := map[string][]string{"program": {"--port=127.0.0.1:0"}, "piped": {"--port=127.0.0.1:0", "--exec_pipes=1"}, "as another": {"--port=127.0.0.1:0", "--exec_user=nobody"}, "typed": {"--port=127.0.0.1:0", "--exec_pty=1"}, "grouped": {"--port=127.0.0.1:0", "--exec_cgroup=/sys/fs/cgroup/x"}}
	for _, k := range s.Keys() {
		if k.Refuse != "" || k.Name == "conf_file" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			var idle, works []string
			look := func(name, said string) {
				if said == "" {
					works = append(works, name)
					return
				}
				idle = append(idle, name)
				if k.NetServer != strings.HasPrefix(said, "warning: ") && !strings.Contains(said, "without a TLS port") && !strings.Contains(said, "requires a supervisor") {
					t.Errorf("%s: one of Net::Server's is a warning, one of ours is not: %s", name, said)
				}
				if !strings.Contains(said, "argument ") || !strings.Contains(said, "leave ") {
					t.Errorf("%s: no place or no cure in %q", name, said)
				}
			}
			for name, args := range starts {
				if k.Name == "http" && name == "http" {
					continue // it is what the type is
				}
				if k.Name == "port" && name == "inet" {
					continue
				}
				if k.Name == "server_type" && slices.Contains([]string{"inet", "prefork", "simple", "single"}, name) {
					continue
				}
				look(name, idleOf(t, &invocation{}, k, args...))
			}
			look("library", idleOf(t, &invocation{server: new(netserver.Server)}, k, "--port=127.0.0.1:0"))
			for name, args := range programs {
				look(name, idleOfProgram(t, k, args))
			}
			switch {
			case len(k.When.Words()) > 0 && len(idle) == 0:
				t.Errorf("it needs %q, and is named in no start", k.When)
			case len(k.When.Words()) == 0 && len(idle) > 0:
				t.Errorf("it always has an effect, and is named with %q", idle)
			case len(works) == 0 && k.When != factUseful:
				t.Errorf("it needs %q, which holds in no start", k.When)
			}
		})
	}
}

func idleOfProgram(t *testing.T, k conf.Key, args []string) string {
	t.Helper()
	v := &invocation{}
	if k.Name == "proxy_to" {
		return "" // it cannot stand beside a program
	}
	args = append([]string{"--" + k.Name + "=" + sampleOf(k)}, slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		return strings.HasPrefix(a, "--"+k.Name+"=")
	})...)
	set, c := v.newSet()
	a := set.ReadArgs(append(args, "--", "cat"), types...)
	res, err := v.load(set, c, &a)
	if err != nil {
		t.Fatal(err)
	}
	v.complete(t.Context(), c, res)
	warned, err := v.idleKeys(c, res)
	if err != nil {
		warned = append(strings.Split(err.Error(), "\n"), "warning: "+strings.Join(warned, "\nwarning: "))
	} else {
		warned = strings.Split("warning: "+strings.Join(warned, "\nwarning: "), "\n")
	}
	for _, w := range warned {
		if strings.HasPrefix(strings.TrimPrefix(w, "warning: "), k.Name+" ") {
			return w
		}
	}
	return ""
}

// A key of a [[listen]] block is judged by that block's ports.
func TestIdleKeysOfAPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.toml")
	text := `
timeout_handshake = 5
[[listen]]
port = "127.0.0.1:0/ssl"
timeout_hello = 3
[[listen]]
port = "127.0.0.1:0"
timeout_hello = 3
[[listen]]
port = "127.0.0.1:0/udp"
timeout_idle = 3
proxy_protocol_from = ["192.0.2.1"]
max_datagrams = 9
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if code := Command([]string{"--check", "--conf_file", file}, nil, &bytes.Buffer{}, &stderr); code != wire.ExitUsage {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{
		"timeout_hello has no effect without a TLS port (" + file + ":8)",
		"timeout_idle has no effect on ports for datagrams (" + file + ":11)",
		"proxy_protocol_from has no effect on ports for datagrams (" + file + ":12)",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("nothing of %q in\n%s", want, &stderr)
		}
	}
	if n := strings.Count(stderr.String(), "\n"); n != 3 {
		t.Errorf("%d lines instead of 3:\n%s", n, &stderr)
	}
}

// An empty value is refused for every key, and so is a blank one.
func TestEmptyValues(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	for _, k := range s.Keys() {
		if k.Refuse != "" {
			continue
		}
		for _, value := range []string{"", " ", "\t"} {
			for how, args := range map[string][]string{"=": {"--" + k.Name + "=" + value}, "apart": {"--" + k.Name, value}} {
				var stderr bytes.Buffer
				code := Command(append([]string{"--check"}, args...), nil, &bytes.Buffer{}, &stderr)
				if k.Name == "check" {
					code = Command(args, nil, &bytes.Buffer{}, &stderr)
				}
				if code != wire.ExitUsage || !strings.Contains(stderr.String(), k.Name+": its value is ") {
					t.Errorf("%s %s %q: status %d, %s", k.Name, how, value, code, &stderr)
				}
			}
			var stderr bytes.Buffer
			env := []string{"NETSERVER_" + strings.ToUpper(k.Name) + "=" + value, "NETSERVER_CHECK=1"}
			if k.Name == "check" {
				env = env[:1]
			}
			if code := Command(nil, env, &bytes.Buffer{}, &stderr); code != wire.ExitUsage || !strings.Contains(stderr.String(), k.Name+": its value is ") {
				t.Errorf("%s: status %d, %s", env[0], code, &stderr)
			}
		}
	}
}

// For some keys an empty value takes off what the conf file says.
func TestEmptyTakesOff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.conf")
	text := "port 127.0.0.1:0\nuser nobody\ngroup nobody\nlog_file /no/such/log\npid_file /no/such/pid\ncontrol_socket /no/such/socket\nchroot /\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	off := []string{"--supervisor=0", "--user=", "--group=", "--log_file=", "--pid_file=", "--control_socket=", "--conf_file=" + file}
	var stderr bytes.Buffer
	if code := Command(append(off, "--check", "--chroot="), nil, &bytes.Buffer{}, &stderr); code != wire.ExitUsage || strings.Count(stderr.String(), "\n") != 1 ||
		!strings.Contains(stderr.String(), "chroot: its value is empty") {
		t.Errorf("status %d, %s", code, &stderr)
	}
}

// Each single-valued key is refused when it is given twice, on the command
// line and in a file, with both places; for Net::Server's own there is a
// warning.
func TestKeysGivenTwice(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	dir := t.TempDir()
	for _, k := range s.Keys() {
		if k.Refuse != "" || k.List || k.Name == "conf_file" {
			continue
		}
		sample := sampleOf(k)
		file := filepath.Join(dir, "server.conf")
		if err := os.WriteFile(file, []byte(fmt.Sprintf("port 127.0.0.1:0\n%s %s\n%[1]s %[2]s\n", k.Name, sample)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args        []string
			first, last string
		}{
			{[]string{"--port=127.0.0.1:0", "--" + k.Name + "=" + sample, k.Name + "=" + sample}, "at argument 2", "(argument 3)"},
			{[]string{"--conf_file=" + file}, "at " + file + ":2", "(" + file + ":3)"},
			// The command line's covers both.
			{[]string{"--conf_file=" + file, "--" + k.Name + "=" + sample}, "at " + file + ":2", "(" + file + ":3)"},
		} {
			if k.NotInFile && strings.HasPrefix(c.args[0], "--conf_file") {
				continue // once is too often
			}
			set, conf := (&invocation{}).newSet()
			a := set.ReadArgs(c.args, types...)
			res, err := (&invocation{}).load(set, conf, &a)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if k.NetServer {
				if err != nil {
					t.Errorf("%q: %v", c.args, err)
					continue
				}
				said = errors.Join(res.Warnings...).Error()
			} else if err == nil {
				t.Errorf("%q: it is not refused", c.args)
			}
			if k.Name == "server_type" {
				c.first, c.last = "of Single, Single", c.last[:0]
			}
			if !strings.Contains(said, c.first) || !strings.Contains(said, c.last) {
				t.Errorf("%q: neither %q nor %q in %q", c.args, c.first, c.last, said)
			}
		}
	}
}

// server_type twice follows Net::Server::MultiType: the first that can be run.
func TestTypeTwice(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--server_type Single --server_type PreFork", "Single"},
		{"--server_type PreFork --server_type Single", "PreFork"},
		{"--server_type Thread --server_type PreFork", "PreFork"},
		{"--server_type nix --server_type PreFork", "PreFork"},
		{"--server_type MultiType --server_type Single", "Single"},
		{"PreFork --server_type Single", "PreFork"},
		{"Single --server_type Single", "Single"},
	} {
		set, conf := (&invocation{}).newSet()
		a := set.ReadArgs(strings.Fields(c.args), types...)
		res, err := (&invocation{}).load(set, conf, &a)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if conf.Type != c.want || res.Options()["server_type"] != c.want {
			t.Errorf("%s: type %s, %v", c.args, conf.Type, res.Options()["server_type"])
		}
		if said := errors.Join(res.Warnings...); said == nil || !strings.Contains(said.Error(), c.want+`" is used`) {
			t.Errorf("%s: warnings %v", c.args, said)
		}
	}
	for name, want := range map[string]string{
		"Thread": "use Fork", "PSGI": "proxy_to",
		"thread": "use Fork", "Net::Server::PSGI": "proxy_to",
	} {
		for _, args := range [][]string{{name}, {"--server_type", name}} {
			if strings.Contains(name, ":") && len(args) == 1 {
				continue
			}
			var stderr bytes.Buffer
			if code := Command(args, nil, &bytes.Buffer{}, &stderr); code != wire.ExitUsage || !strings.Contains(stderr.String(), want) {
				t.Errorf("%q: status %d, %s", args, code, &stderr)
			}
		}
	}
	if len(absentTypes)+len(Types()) != len(types) {
		t.Errorf("types %q, to run %q, absent %v", types, Types(), slices.Sorted(maps.Keys(absentTypes)))
	}
}
