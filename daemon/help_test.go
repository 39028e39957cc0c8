package daemon_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"netserver/daemon"
	"netserver/netservertest"
)

// command runs a command line, and returns its exit status and what it printed.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = daemon.Command(args, nil, &out, &errs)
	return code, out.String(), errs.String()
}

// What people see first fits on a screen, and is true: its keys exist and its
// examples are configurations.
func TestHelpIsOneScreen(t *testing.T) {
	_, text, _ := command("--help")
	_, all, _ := command("--help", "all")
	if lines := strings.Count(text, "\n"); lines > 50 || !strings.HasPrefix(text, "Usage: netserver ") {
		t.Errorf("--help has %d lines:\n%s", lines, text)
	}
	keys := regexp.MustCompile(`(?m)^  --(\w+)`).FindAllStringSubmatch(text, -1)
	if len(keys) < 18 || len(keys) > 24 {
		t.Errorf("there are %d keys", len(keys))
	}
	for _, k := range keys {
		if !regexp.MustCompile(`(?m)^  --` + k[1] + `\b`).MatchString(all) {
			t.Errorf("there is no key %s", k[1])
		}
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"an echo", "TLS before a backend", "a program", "mutual TLS", "check"} {
		if !strings.Contains(text, "\n  "+want+" ") {
			t.Errorf("there is no example of %s", want)
		}
	}
	if code, out, errs := command("help"); code != 0 || out != text || errs != "" {
		t.Errorf("help: status %d, %s%s", code, out, errs)
	}
	if !strings.Contains(all, "Exit status: ") || !strings.Contains(all, "[[listen.route]]") || strings.Count(all, "\n") < 500 {
		t.Errorf("--help all has not all")
	}
}

// The examples of the overview, with files that are there, pass --check.
func TestHelpExamplesHold(t *testing.T) {
	_, text, _ := command("--help")
	dir := t.TempDir()
	pair := netservertest.NewCA(t, "site").Issue(t, netservertest.Leaf{})
	var pem []byte
	for _, f := range []string{pair.CertFile, pair.KeyFile} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, b...)
	}
	cert := filepath.Join(dir, "site-and-key.pem")
	if err := os.WriteFile(cert, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "\\\n", " ")
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^  [a-zA-Z ]+  netserver (--(?:port|check).*)$`).FindAllStringSubmatch(text, -1) {
		found++
		line, program, _ := strings.Cut(m[1], " -- ")
		line = strings.NewReplacer("site.pem", cert, "ca.pem", pair.CertFile, "netserver.toml", filepath.Join(dir, "n.toml")).Replace(line)
		if err := os.WriteFile(filepath.Join(dir, "n.toml"), []byte("port = 7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append(strings.Fields(line), "--user=root")
		if !strings.Contains(line, "--check") {
			args = append(args, "--check")
		}
		if program != "" {
			args = append(args, "--", "sh", "-c", "true")
		}
		if code, _, errs := command(args...); code != 0 {
			t.Errorf("%s: status %d: %s", m[1], code, errs)
		}
	}
	if found != 5 {
		t.Errorf("%d examples found in\n%s", found, text)
	}
}

func TestHelpFindsByWord(t *testing.T) {
	for word, wants := range map[string][]string{
		"tls":         {"--SSL_cert_file FILE", " backend_tls", "docs/TLS.md", "a TLS port is written so"},
		"backend":     {"--proxy_to TARGET", "--backend_tls", "[[backend]], in a TOML", "docs/BACKENDS.md"},
		"http":        {"--http 0|1", "docs/HTTP.md", "more keys about it", " app"},
		"limits":      {"limits\n", "--max_servers N", "docs/ADMISSION.md"},
		"certificate": {"--SSL_cert_file FILE", "docs/TLS.md"},
		"--proxy-to":  {"--proxy_to TARGET", "docs/HANDLERS.md"},
		"access":      {"access\n", "--cidr_allow NETWORK"},
		"Upstream":    {"--proxy_to HOST:PORT", "docs/BACKENDS.md"},
		"reload":      {"docs/DAEMON.md"},
		"cluster":     {"--cluster URL", "--cluster_key_file FILE"}, // a key and a group
		"letsencrypt": {"--acme_domains NAMES", "docs/ACME.md"},
	} {
		for _, args := range [][]string{{"--help", word}, {"help", word}, {"--help=" + word}, {"-h", word}} {
			code, out, errs := command(args...)
			for _, want := range wants {
				if code != 0 || errs != "" || !strings.Contains(out, want) {
					t.Errorf("%q: status %d, no %q in\n%.500s%s", args, code, want, out, errs)
				}
			}
			for line := range strings.Lines(out) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 && !strings.Contains(line, word+": ") {
					t.Errorf("%q: more than 80 columns: %s", args, line)
				}
			}
		}
	}
	for word, want := range map[string]string{"zzzz": "netserver --help has the first keys", "bakend": "did you mean backend?", "\x1b[2J": `\x1b`} {
		if code, out, errs := command("--help", word); code != 2 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("--help %q: status %d, %q%q", word, code, out, errs)
		}
	}
}

func TestVersionWords(t *testing.T) {
	_, want, _ := command("--version")
	for _, word := range []string{"version", "-v", "-V", "-version"} {
		if code, out, errs := command(word); code != 0 || out != want || errs != "" {
			t.Errorf("%s: status %d, %s%s", word, code, out, errs)
		}
	}
}

// Pages that help names are there, and it names all.
func TestHelpKnowsPages(t *testing.T) {
	source, err := os.ReadFile("internal/help/pages.go")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("../docs/*.md")
	of := []string{"docs/ARCHITECTURE.md", "docs/BENCHMARKS.md", "docs/CLUSTER-MODEL.md"} // of the code, not of the command
	for _, f := range files {
		if name := "docs/" + filepath.Base(f); !strings.Contains(string(source), `"`+name+`"`) && !slices.Contains(of, name) {
			t.Errorf("%s is not among the pages of help", name)
		}
	}
	for _, m := range regexp.MustCompile(`\{"([A-Za-z/-]+\.md)"`).FindAllStringSubmatch(string(source), -1) {
		if _, err := os.Stat("../" + m[1]); err != nil {
			t.Error(err)
		}
	}
}

// Errors say which command helps on.
func TestErrorsSayWhatHelps(t *testing.T) {
	for args, want := range map[string]string{
		"--zzzzzzzz 1":                  `unknown key "zzzzzzzz" (argument 1); netserver --help WORD finds keys by a word`,
		"--conf_file /nonexistent.toml": "no such file or directory (/nonexistent.toml); netserver init writes a first one",
		"init zzz":                      "JOB is front (TLS before a backend that has none), program",
		"init front web":                "JOB is front",
		"convert":                       "write netserver convert FILE",
		"--help zzzz":                   "netserver --help all all of them",
	} {
		if code, out, errs := command(strings.Fields(args)...); code != 2 || out != "" || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %s%s", args, code, out, errs)
		}
	}
}

// Nothing here is coloured, whatever is printed to.
func TestHelpHasNoEscapes(t *testing.T) {
	for _, args := range []string{"--help", "--help all", "--help tls", "--zzz", "convert /nonexistent"} {
		if _, out, errs := command(strings.Fields(args)...); strings.Contains(out+errs, "\x1b") {
			t.Errorf("%s prints escapes", args)
		}
	}
}
