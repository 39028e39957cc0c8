package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"netserver/conf"
)

var record = flag.Bool("record", false, "ask Net::Server again and write testdata/allow_deny.json")

const recording = "testdata/allow_deny.json"

func readRecording(t *testing.T) []recorded {
	t.Helper()
	data, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	var cases []recorded
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// needPerl skips the test where Net::Server is not installed.
func needPerl(t *testing.T) {
	t.Helper()
	out, err := exec.Command("perl", "-MNet::Server", "-MNet::CIDR", "-MSocket6", "-e", "print $Net::Server::VERSION").CombinedOutput()
	if err == nil {
		t.Logf("Net::Server %s", out)
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("perl with Net::Server and Net::CIDR is needed: %v: %s", err, out)
	}
	t.Skipf("perl with Net::Server and Net::CIDR is needed: %v", err)
}

// askPerl returns Net::Server's answers.
func askPerl(t *testing.T, cases []perlCase) []perlAnswer {
	t.Helper()
	input, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "perl", "testdata/allow_deny.pl")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("allow_deny.pl: %v: %s", err, stderr.Bytes())
	}
	var answers []perlAnswer
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	return answers
}

// TestRecording asks Net::Server again and compares with what was recorded.
func TestRecording(t *testing.T) {
	needPerl(t)
	cases := perlCases()
	answers := askPerl(t, cases)
	if *record {
		writeRecording(t, cases, answers)
	}
	old := readRecording(t)
	if len(old) != len(cases) {
		t.Fatalf("%d cases, but %d are recorded; run go test -record", len(cases), len(old))
	}
	for i, c := range cases {
		if !reflect.DeepEqual(c, old[i].perlCase) {
			t.Fatalf("case %d is not the one that was recorded; run go test -record", i)
		}
		got, was := answers[i], old[i].Answer
		// The words of a death are Perl's and change with it.
		if got.Allowed != was.Allowed || (got.Died == nil) != (was.Died == nil) || !slices.Equal(got.Log, was.Log) {
			t.Errorf("case %d, %s: Net::Server says %+v, recorded was %+v", i, toJSON(c), got, was)
		}
	}
}

func writeRecording(t *testing.T, cases []perlCase, answers []perlAnswer) {
	t.Helper()
	lines := make([]string, len(cases))
	for i := range cases {
		lines[i] = toJSON(recorded{cases[i], answers[i]})
	}
	text := "[\n" + strings.Join(lines, ",\n") + "\n]\n"
	if err := os.WriteFile(recording, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func toJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// perlResolver answers as the case's DNS has it.
type perlResolver struct{ dns perlDNS }

func (r perlResolver) LookupAddr(_ context.Context, addr string) ([]string, error) {
	for a, name := range r.dns.Names {
		if netip.MustParseAddr(a).Unmap().String() == addr {
			return []string{name + "."}, nil
		}
	}
	return nil, errors.New("no such name")
}

func (r perlResolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, a := range r.dns.Addrs[strings.TrimSuffix(host, ".")] {
		ips = append(ips, netip.MustParseAddr(a))
	}
	if len(ips) == 0 {
		return nil, errors.New("no such host")
	}
	return ips, nil
}

// An outcome is what happened to a client, in words that both have.
type outcome struct {
	end string // "allowed", "denied", or "died": the client's process, or the start
	log string
}

func (a perlAnswer) outcome() outcome {
	o := outcome{end: "denied", log: strings.Join(a.Log, "\n")}
	switch {
	case a.Died != nil:
		o.end = "died"
	case a.Allowed:
		o.end = "allowed"
	}
	return o
}

// ours returns what this package does in the case.
func ours(t *testing.T, c perlCase) outcome {
	t.Helper()
	var r Rules
	for k, v := range c.Rules {
		var vals []conf.Value
		switch v := v.(type) {
		case string:
			vals = Texts(v)
		case []any:
			for _, s := range v {
				vals = append(vals, Texts(s.(string))...)
			}
		}
		if !r.Set(k, vals) {
			t.Fatalf("no key %s", k)
		}
	}
	p, err := r.Compile()
	if err != nil {
		return outcome{end: "died"}
	}
	l := &Lookups{Resolver: perlResolver{c.DNS}}
	_, v := p.Check(t.Context(), l, c.Client.peer())
	if !v.Final {
		t.Fatalf("%s: the verdict is not final: %+v", toJSON(c), v)
	}
	o := outcome{end: "denied", log: v.Log}
	if v.Allowed {
		o.end = "allowed"
	}
	return o
}
