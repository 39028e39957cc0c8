package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netserver/internal/metric"
	"netserver/netservertest"
)

// Names in PromQL.
var (
	metricRE  = regexp.MustCompile(`\b(up|netserver_[a-z_]+)(?:\{([^}]*)\})?`)
	matcherRE = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	groupRE   = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)`)
	countedRE = regexp.MustCompile(`\b(rate|increase)\(([a-z_]+)`)
)

// scraped are labels that Prometheus adds.
var scraped = []string{"job", "instance", "le"}

// familyOf returns the family that a name in an expression is of.
func familyOf(name string) (metric.Family, bool) {
	for _, f := range metric.Families() {
		if name == f.Name || f.Type == metric.Histo && slices.Contains([]string{"_bucket", "_count", "_sum"}, strings.TrimPrefix(name, f.Name)) {
			return f, true
		}
	}
	return metric.Family{}, false
}

// checkExpr looks up what an expression names in the table of metrics.
func checkExpr(t *testing.T, where, expr string) {
	t.Helper()
	known := slices.Clone(scraped)
	found := metricRE.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	for _, m := range found {
		f, ok := familyOf(m[1])
		if !ok && m[1] != "up" {
			t.Errorf("%s: there is no metric %s", where, m[1])
			continue
		}
		known = append(known, f.Labels...)
		for _, l := range matcherRE.FindAllStringSubmatch(m[2], -1) {
			label, op, value := l[1], l[2], l[3]
			if !slices.Contains(f.Labels, label) && !slices.Contains(scraped, label) {
				t.Errorf("%s: %s has no label %s", where, m[1], label)
			}
			values := []string{value}
			if strings.HasSuffix(op, "~") {
				values = strings.Split(value, "|")
			}
			if _, list := metric.Values(label); list != nil {
				for _, v := range values {
					if !slices.Contains(list, v) {
						t.Errorf("%s: %s is never %q", where, label, v)
					}
				}
			}
		}
	}
	for _, m := range groupRE.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ", ") {
			if !slices.Contains(known, label) {
				t.Errorf("%s: no metric of it has the label %s", where, label)
			}
		}
	}
	for _, m := range countedRE.FindAllStringSubmatch(expr, -1) {
		if f, _ := familyOf(m[2]); f.Type == metric.Gauge {
			t.Errorf("%s: %s of a gauge", where, m[0])
		}
	}
}

// Metrics, labels and their values in rules and dashboard are those of the one
// table.
func TestAlertsAndDashboardNameMetrics(t *testing.T) {
	labelRE := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, a := range alerts() {
		checkExpr(t, a.name, a.expr)
		for _, m := range labelRE.FindAllStringSubmatch(a.summary, -1) {
			if by := groupRE.FindStringSubmatch(a.expr); by != nil && !slices.Contains(strings.Split(by[1], ", "), m[1]) {
				t.Errorf("%s: its summary wants the label %s", a.name, m[1])
			}
		}
	}
	for _, r := range rows() {
		for _, p := range r.panels {
			for _, l := range p.lines {
				checkExpr(t, p.title, l.expr)
			}
		}
	}
}

// The dashboard is what Grafana reads: JSON, with panels that have a number and
// a place of their own.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("grafana/netserver.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	taken := make(map[[2]int]int)
	ids := make(map[int]bool)
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels are number %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != 0 || x >= 24 {
					t.Fatalf("panel %d is where %d is, or beyond the width", p.ID, other)
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("panel %d, a %s, has %d queries", p.ID, p.Type, len(p.Targets))
		}
	}
	if len(ids) < 30 {
		t.Errorf("only %d panels", len(ids))
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(netservertest.Peer(t, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// Prometheus accepts the rules, and the queries of the dashboard as rules.
func TestPromtoolAcceptsExpressions(t *testing.T) {
	promtool(t, "check", "rules", "prometheus/netserver.rules.yml")
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	values := strings.NewReplacer("@", `job=~"netserver", instance=~".*"`, "$__rate_interval", "5m", "$__range", "3h")
	n := 0
	for _, r := range rows() {
		for _, p := range r.panels {
			for _, l := range p.lines {
				n++
				fmt.Fprintf(&b, "      - record: q%d\n        expr: >-\n          %s\n", n, values.Replace(l.expr))
			}
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// A story is what a server tells each minute for two hours.
type story []string

// stories are, for each alert, one in which it is firing after the two hours and
// one that is close to it, in which it is not, each told by a server of its own.
// I stands for the labels of Prometheus.
var stories = map[string]struct{ fire, quiet story }{
	"NetserverDown": {story{`up{I} 1x100 0x20`}, story{`up{I} 1x100 0 1x20`}},
	"NetserverNoWorkerAnswers": {
		story{`netserver_start_time_seconds{I} 5x120`, `netserver_workers_silent{I} 0x120`},
		story{`netserver_start_time_seconds{I} 5x120`, `netserver_workers_silent{I} 1x120`,
			`netserver_workers{I,generation="1",state="ending"} 1x120`, `netserver_workers{I,generation="2",state="serving"} 1x120`}},
	"NetserverWorkerSilent":  {story{`netserver_workers_silent{I} 0x110 1x10`}, story{`netserver_workers_silent{I} 0x119 1`}},
	"NetserverWorkerCrashes": {story{`netserver_worker_crashes_total{I} 2x110 3x10`}, story{`netserver_worker_crashes_total{I} 2x50 3x70`}},
	"NetserverPanic": {
		story{`netserver_connections_total{I,port="p",outcome="panic"} _x110 1x10`},
		story{`netserver_connections_total{I,port="p",outcome="panic"} 1x120`, `netserver_connections_total{I,port="p",outcome="served"} 0+9x120`}},
	"NetserverReloadFailed": {
		story{`netserver_reloads_total{I,result="failed"} 0x110 1x10`},
		story{`netserver_reloads_total{I,result="failed"} 1x120`, `netserver_reloads_total{I,result="done"} 0+1x120`}},

	"NetserverCertificateEnds": {
		story{`netserver_certificate_expiry_timestamp_seconds{I,port="p",file="f"} 1810000x120`},
		story{`netserver_certificate_expiry_timestamp_seconds{I,port="p",file="f"} 1824000x120`}},
	"NetserverCertificateEndsSoon": {
		story{`netserver_certificate_expiry_timestamp_seconds{I,port="p",file="f"} 600000x120`},
		story{`netserver_certificate_expiry_timestamp_seconds{I,port="p",file="f"} 620000x120`}},
	"NetserverCertificateUnreadable": {
		story{`netserver_certificate_error_timestamp_seconds{I,port="p",file="f"} 0x110 6600x10`},
		story{`netserver_certificate_error_timestamp_seconds{I,port="p",file="f"} 0x100 6000x2 0x18`}},
	"NetserverRenewalFails": {
		story{`netserver_acme_error_timestamp_seconds{I,name="n"} 0x50 3000x70`},
		story{`netserver_acme_error_timestamp_seconds{I,name="n"} 0x20 1200x58 0x10 5400x30`}},
	"NetserverCertificateRejected": {
		story{`netserver_connections_total{I,port="p",outcome="served"} 0+60x120`, `netserver_connections_total{I,port="p",outcome="alert"} 0+30x120`},
		story{`netserver_connections_total{I,port="p",outcome="served"} 0+600x120`, `netserver_connections_total{I,port="p",outcome="alert"} 0+30x120`}},

	"NetserverTargetDown": {
		story{`netserver_target_up{I,backend="b",target="one"} 1x100 0x20`, `netserver_target_up{I,backend="b",target="two"} 1x120`},
		story{`netserver_target_up{I,backend="b",target="one"} 2x100 1x20`}},
	"NetserverBackendDown": {
		story{`netserver_target_up{I,backend="b",target="one"} 0x120`, `netserver_target_up{I,backend="b",target="two"} 1x100 0x20`},
		story{`netserver_target_up{I,backend="b",target="one"} 0x120`, `netserver_target_up{I,backend="b",target="two"} 1x120`}},

	"NetserverTargetSlow": {
		story{`netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="1"} 0x120`,
			`netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="2"} 0+60x120`, `netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="+Inf"} 0+60x120`},
		story{`netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="0.5"} 0+60x120`,
			`netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="1"} 0+60x120`, `netserver_target_connect_seconds_bucket{I,backend="b",target="t",le="+Inf"} 0+60x120`}},

	"NetserverClusterStoreDown": {
		story{`netserver_cluster_store_up{I} 1x100 0x20`},
		story{`netserver_cluster_store_up{I} 1x118 0x2`}},

	"NetserverRefusals": {
		story{`netserver_connections_total{I,port="p",outcome="served"} 0+600x120`, `netserver_connections_total{I,port="p",outcome="over limit"} 0+60x120`,
			`netserver_refused_total{I,port="p",limit="max_per_source"} 0+60x120`},
		story{`netserver_connections_total{I,port="p",outcome="served"} 0+6000x120`, `netserver_connections_total{I,port="p",outcome="over limit"} 0+60x120`,
			`netserver_refused_total{I,port="p",limit="max_per_source"} 0+60x120`}},
	"NetserverHandshakesShed": {story{`netserver_handshakes_shed_total{I} 0x100 0+120x20`}, story{`netserver_handshakes_shed_total{I} 0+30x120`}},
	"NetserverPenalties":      {story{`netserver_penalties_total{I} 0x100 0+3x20`}, story{`netserver_penalties_total{I} 0x110 0+1x10`}},
	"NetserverLimitNear": {
		story{`netserver_limit_used_ratio{I,limit="descriptors"} 0.9x120`},
		story{`netserver_limit_used_ratio{I,limit="max_connections"} 0.8x120`, `netserver_limit_used_ratio{I,limit="max_servers"} 1x120`}},
	"NetserverSignatureRefused": {
		story{`netserver_signatures_total{I,signature="refused"} 0x110 1x10`},
		story{`netserver_signatures_total{I,signature="refused"} 1x120`, `netserver_signatures_total{I,signature="signed"} 0+9x120`}},

	"NetserverHandshakeSlow":  {phase("handshake", "1", "2"), phase("handshake", "0.25", "0.5")},
	"NetserverHandshakeWaits": {phase("turn", "0.5", "1"), phase("turn", "0.0625", "0.125")},
	"NetserverHandshakesWasted": {
		story{`netserver_handshake_wasted_cpu_seconds_total{I,port="p"} 0+40x120`},
		story{`netserver_handshake_wasted_cpu_seconds_total{I,port="p"} 0+20x120`}},
}

// phase has all handshakes of a port between two bounds.
func phase(name, low, high string) story {
	const of = `netserver_handshake_phase_seconds_bucket{I,port="p",phase="`
	return story{of + name + `",le="` + low + `"} 0x120`, of + name + `",le="` + high + `"} 0+60x120`, of + name + `",le="+Inf"} 0+60x120`}
}

// Each alert fires in its story, and only in that.
func TestAlertsFire(t *testing.T) {
	rules, err := filepath.Abs("prometheus/netserver.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var series, checks strings.Builder
	tell := func(instance string, s story) {
		labels := strings.NewReplacer("{I", `{job="netserver",instance="`+instance+`"`)
		for _, one := range s {
			at := strings.LastIndex(one, "} ") + 1
			fmt.Fprintf(&series, "      - series: '%s'\n        values: '%s'\n", labels.Replace(one[:at]), one[at+1:])
		}
	}
	for _, a := range alerts() {
		s, ok := stories[a.name]
		if !ok {
			t.Errorf("no story of %s", a.name)
			continue
		}
		tell("fire-"+a.name, s.fire)
		tell("quiet-"+a.name, s.quiet)
		fmt.Fprintf(&checks, "      - expr: count by (instance) (ALERTS{alertname=%q,alertstate=\"firing\",instance=~\"(fire|quiet)-%[1]s\"})\n"+
			"        eval_time: 2h\n        exp_samples: [{labels: '{instance=\"fire-%[1]s\"}', value: 1}]\n", a.name)
	}
	if len(stories) != len(alerts()) {
		t.Errorf("%d stories of %d alerts", len(stories), len(alerts()))
	}
	text := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n%s    promql_expr_test:\n%s", rules, &series, &checks)
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}
