package port

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write DIFFERENCES.md, and the recording for the Net::Server that perl finds")

// recording is the file with the answers of one version of Net::Server: a
// line for each case. To record another version than the installed one:
// PERL5LIB=DIRECTORY go test ./port -run TestPerl -update
func recording(version string) string {
	return filepath.Join("testdata", "recorded-"+version+".jsonl")
}

// A recorded line is a case, for whoever reads the file, and its answer.
type recorded struct {
	Case string `json:"case"`
	result
}

// askPerl gives all cases to the installed Net::Server.
func askPerl(t *testing.T, ks []kase) (version string, answers []result) {
	t.Helper()
	if out, err := exec.Command("perl", "-MNet::Server", "-MJSON::PP", "-e1").CombinedOutput(); err != nil {
		missing(t, "perl with Net::Server and JSON::PP is needed: %v: %s", err, out)
	}
	var in, stderr bytes.Buffer
	for _, k := range ks {
		line, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.CommandContext(t.Context(), "perl", filepath.Join("testdata", "netserver.pl"))
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("netserver.pl: %v\n%s", err, stderr.Bytes())
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != len(ks)+1 {
		t.Fatalf("netserver.pl answered %d lines to %d cases\n%s", len(lines)-1, len(ks), stderr.Bytes())
	}
	var head struct{ Version string }
	if err := json.Unmarshal(lines[0], &head); err != nil || head.Version == "" {
		t.Fatalf("netserver.pl: no version in %q: %v", lines[0], err)
	}
	for _, line := range lines[1:] {
		r, err := perlResult(line)
		if err != nil {
			t.Fatalf("netserver.pl: %v in %q", err, line)
		}
		answers = append(answers, r)
	}
	return head.Version, answers
}

// missing skips a test for want of a peer program, but not where all of them
// must be there.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// readRecording returns what a file says for each case, by the case's text.
func readRecording(t *testing.T, file string) map[string]result {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]result{}
	for line := range strings.Lines(string(text)) {
		var r recorded
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v in %q", file, err, line)
		}
		out[r.Case] = r.result
	}
	return out
}

func writeRecording(t *testing.T, file string, ks []kase, answers []result) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, k := range ks {
		if err := enc.Encode(recorded{k.String(), answers[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPerl compares with the Net::Server that is installed, and checks that
// the recording of its version, if there is one, is what it says today.
func TestPerl(t *testing.T) {
	ks := cases()
	version, answers := askPerl(t, ks)
	file := recording(version)
	if *update {
		writeRecording(t, file, ks, answers)
	}
	compare(t, version, ks, answers)
	if _, err := os.Stat(file); err != nil {
		t.Logf("no recording for Net::Server %s", version)
		return
	}
	was := readRecording(t, file)
	for i, k := range ks {
		if now := answers[i]; was[k.String()].text() != now.text() {
			t.Errorf("%s: %s is not current\nrecorded %s\nnow      %s", file, k, was[k.String()].text(), now.text())
		}
	}
}

// TestRecorded compares with every recorded version, without Perl.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob(recording("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "recorded-"), ".jsonl")
		t.Run(version, func(t *testing.T) {
			ks, was := cases(), readRecording(t, file)
			answers := make([]result, len(ks))
			for i, k := range ks {
				r, ok := was[k.String()]
				if !ok {
					t.Fatalf("%s has no case %s", file, k)
				}
				answers[i] = r
			}
			if len(was) != len(ks) {
				t.Errorf("%s has %d cases; there are %d", file, len(was), len(ks))
			}
			compare(t, version, ks, answers)
		})
	}
}

func (r result) text() string {
	return r.String() + "\n" + strings.Join(r.Log, "\n")
}

// compare puts every case to Resolve and holds the result against Perl's. What
// differs must be in the table of differences, and everything in the table must
// be seen.
func compare(t *testing.T, version string, ks []kase, answers []result) {
	t.Helper()
	equal, refused, alike := 0, 0, 0
	used := map[int]int{}
	for i, k := range ks {
		got := k.ask()
		kind := contrast(got, answers[i])
		switch {
		case kind == "" && got.Error != "":
			refused++
			if reHead.FindString(got.Error) == reHead.FindString(answers[i].Error) {
				alike++
			}
		case kind == "":
			equal++
		default:
			d := differenceFor(k, kind, answers[i], version)
			if used[d]++; d < 0 {
				t.Errorf("%s: %s\n netserver  %s\n Net::Server %s", kind, k, got.text(), answers[i].text())
			}
		}
	}
	for i, d := range differences {
		if used[i] == 0 && d.concerns(version) {
			t.Errorf("no case shows the difference %q", d.does)
		}
	}
	t.Logf("Net::Server %s, %d cases: %d with equal rows, %d refused by both, %d with one of %d deliberate differences",
		version, len(ks), equal, refused, len(ks)-equal-refused, len(used))
	// The rest are refused before Net::Server's reason comes up.
	if alike < refused*85/100 {
		t.Errorf("of %d cases refused by both, only %d begin with the same words", refused, alike)
	}
	if equal+refused < 400 {
		t.Errorf("%d cases agree; at least 400 must", equal+refused)
	}
}

// reHead matches the words of an error before the part that they are about.
var reHead = regexp.MustCompile(`^[^"[-]*`)

// contrast names the way in which a result differs from Perl's, or is "".
func contrast(got, perl result) string {
	switch {
	case got.Error != "" && perl.Error != "":
		return ""
	case got.Error != "":
		return "refused"
	case perl.Error != "":
		return "accepted"
	case got.String() != perl.String():
		return "rows"
	case strings.Join(got.Log, "\n") != strings.Join(perl.Log, "\n"):
		return "log"
	}
	return ""
}
