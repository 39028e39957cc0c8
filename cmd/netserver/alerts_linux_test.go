package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/internal/control"
	"netserver/netservertest"
)

// faulty is a server in which everything goes wrong, as Prometheus sees it.
type faulty struct {
	*misbehaving
	admin      string
	conf, cert string
	text       string
}

func startFaulty(t *testing.T) *faulty {
	t.Helper()
	netservertest.Peer(t, "promtool")
	if raceEnabled {
		t.Skip("the same without the race detector, of which other tests say more")
	}
	dir, bed := openDir(t), newTLSBed(t)
	f := &faulty{misbehaving: &misbehaving{bed: bed, control: filepath.Join(t.TempDir(), "ctl")},
		admin: filepath.Join(dir, "admin"), conf: filepath.Join(dir, "faulty.toml"), cert: filepath.Join(dir, "ends.pem")}
	issue(t, netservertest.CA(t), f.cert, x509.Certificate{Subject: pkix.Name{CommonName: "ends"}, DNSNames: []string{"one.example.com"}, NotAfter: time.Now().Add(72 * time.Hour)})
	f.text = fmt.Sprintf("echo = \"raw\"\nadmin = %q\ncontrol_socket = %q\nSSL_cert_file = %q\nmax_handshakes = 3\nworker_timeout = 120\n", f.admin, f.control, f.cert) +
		"penalty_points = 1\npenalty_exempt = \"127.0.0.1\"\ncidr_allow = \"127.0.0.1\"\n" +
		"[[backend]]\nname = \"down\"\ntargets = \"127.0.0.1:1\"\ncheck = \"tcp\"\ncheck_interval = 0.2\ncheck_fall = 1\n"
	for i, keys := range []string{"max_per_source = 1\n", "backend = \"down\"\n", "", ""} {
		f.text += "[[listen]]\nport = \"" + ownLoopback(i) + ":0" + []string{"", "", "/ssl", "/ssl"}[i] + "\"\n" + keys
	}
	write(t, f.conf, f.text)
	f.server = start(t, "--conf_file", f.conf)
	return f
}

// scrape returns what Prometheus would see: series and their values.
func (f *faulty) scrape() map[string]float64 {
	seen := map[string]float64{"up{}": 0}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.admin)
	}}}
	resp, err := client.Get("http://localhost/metrics")
	if err != nil {
		return seen
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return seen
	}
	seen["up{}"] = 1
	for line := range strings.Lines(string(b)) {
		at := strings.LastIndex(line, " ")
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil && line[0] != '#' {
			name := line[:at]
			if !strings.HasSuffix(name, "}") {
				name += "{}"
			}
			seen[name] = v
		}
	}
	return seen
}

// await waits until a series that matches is at least n.
func (f *faulty) await(n float64, pattern string) {
	f.t.Helper()
	re := regexp.MustCompile(`^` + pattern + `$`)
	netservertest.Eventually(f.t, pattern, func() bool {
		for name, v := range f.scrape() {
			if re.MatchString(name) && v >= n {
				return true
			}
		}
		return false
	})
}

// dial connects to the i-th port, from another address if one is named.
func (f *faulty) dial(i int, from string) net.Conn {
	f.t.Helper()
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", ownLoopback(i)+":"+f.port(i))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// misuse has clients, a target and files make trouble, and waits until it can be
// seen.
func (f *faulty) misuse() {
	t := f.t
	c := f.dial(0, "")
	fmt.Fprint(c, "x")
	io.ReadFull(c, make([]byte, 1))
	for range 30 {
		io.Copy(io.Discard, f.dial(0, ""))
	}
	for i := range 3 {
		io.Copy(io.Discard, f.dial(1, fmt.Sprintf("127.%d.0.9", i+1)))
	}
	f.shake(f.dial(3, ""), func(cfg *tls.Config) { cfg.RootCAs, cfg.InsecureSkipVerify = f.bed.ca.Pool(), false })
	f.await(1, `netserver_connections_total\{outcome="alert".*`) // before a flood could end it
	for range 100 {
		f.dial(2, "") // and says nothing
	}
	replace(t, f.cert, "junk")
	write(t, f.conf, f.text+"no_such_key = 1\n")
	exec.Command(binary, "ctl", "--socket", f.control, "reload").Run() // which fails
	write(t, f.conf, f.text)

	f.await(30, `netserver_refused_total\{limit="max_per_source".*`)
	f.await(3, `netserver_penalties_total\{\}`)
	f.await(90, `netserver_handshakes_shed_total\{\}`)
	f.await(1, `netserver_certificate_error_timestamp_seconds\{.*`)
	f.await(1, `netserver_reloads_total\{result="failed"\}`)
	f.await(1, `netserver_limit_used_ratio\{limit="max_handshakes"\}`)
	netservertest.Eventually(t, "the target is down", func() bool {
		up, there := f.scrape()[`netserver_target_up{backend="down",target="127.0.0.1:1"}`]
		return there && up == 0
	})
}

// loseWorkers kills the worker, and stops the one that takes its place.
func (f *faulty) loseWorkers() {
	t := f.t
	worker := func() int {
		var st control.Status
		json.Unmarshal([]byte(f.ctl("--json", "status")), &st)
		for _, g := range st.Generations {
			for _, w := range g.Workers {
				if w.Answers {
					return w.PID
				}
			}
		}
		return 0
	}
	first := worker()
	syscall.Kill(first, syscall.SIGKILL)
	f.await(1, `netserver_worker_crashes_total\{\}`)
	second := 0
	netservertest.Eventually(t, "another worker", func() bool { second = worker(); return second > 0 && second != first })
	syscall.Kill(second, syscall.SIGSTOP)
	t.Cleanup(func() { syscall.Kill(second, syscall.SIGCONT) })
	f.await(1, `netserver_workers_silent\{\}`)
}

// hours writes the series as they are if each minute brings what came from
// before to after, seen from a clock that begins now.
func hours(before, after map[string]float64, instance string) string {
	var b strings.Builder
	now := float64(time.Now().Unix())
	for _, name := range slices.Sorted(maps.Keys(after)) {
		first, step := after[name], 0.0
		switch family, _, _ := strings.Cut(name, "{"); {
		case strings.HasSuffix(family, "_expiry_timestamp_seconds"):
			first += 2*3600 - now
		case strings.HasSuffix(family, "_total"), strings.HasSuffix(family, "_bucket"):
			first, step = before[name], after[name]-before[name]
		}
		series := strings.Replace(strings.Replace(name, "{", `{job="netserver",instance="`+instance+`",`, 1), ",}", "}", 1)
		fmt.Fprintf(&b, "      - series: '%s'\n        values: '%s+%sx120'\n", series, number(first), number(step))
	}
	return b.String()
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// The alerts of packaging/prometheus fire when what they are of happens to a
// real server, and none does for one to which nothing happens. Those that are
// missing here need a defect, or a machine that is slow for hours; the tests in
// packaging/ tell stories of them.
func TestAlertsOfFaults(t *testing.T) {
	f := startFaulty(t)
	f.await(1, `netserver_workers\{.*state="serving"\}`)
	before := f.scrape()
	f.misuse()
	misused := f.scrape()
	f.loseWorkers()
	lost := f.scrape()
	well := maps.Clone(before)
	for name := range well { // the certificate is renewed in this one
		if strings.HasPrefix(name, "netserver_certificate_expiry") {
			well[name] += 60 * 86400
		}
	}
	fires := map[string][]string{
		"misused": {"NetserverBackendDown", "NetserverCertificateEnds", "NetserverCertificateEndsSoon", "NetserverCertificateRejected",
			"NetserverCertificateUnreadable", "NetserverHandshakesShed", "NetserverLimitNear", "NetserverPenalties",
			"NetserverRefusals", "NetserverReloadFailed", "NetserverTargetDown"},
		"lost": {"NetserverNoWorkerAnswers", "NetserverWorkerCrashes", "NetserverWorkerSilent"},
		"gone": {"NetserverDown"},
	}
	rules, err := filepath.Abs("../../packaging/prometheus/netserver.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	// The target is down for all of them, as soon as a worker has looked.
	text := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n", rules) +
		hours(before, misused, "misused") + hours(misused, lost, "lost") + hours(well, well, "well") + hours(nil, map[string]float64{"up{}": 0}, "gone") +
		"    promql_expr_test:\n      - expr: group by (instance, alertname) (ALERTS{alertstate=\"firing\"} unless ALERTS{instance=~\"lost|well\",alertname=~\"Netserver(Target|Backend)Down\"})\n        eval_time: 2h\n        exp_samples:\n"
	for instance, names := range fires {
		for _, name := range names {
			text += fmt.Sprintf("          - {labels: '{instance=%q, alertname=%q}', value: 1}\n", instance, name)
		}
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	write(t, file, text)
	if out, err := exec.Command(netservertest.Peer(t, "promtool"), "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
		t.Logf("asked of\n%s", text)
	}
}
