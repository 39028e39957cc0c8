package main

import (
	"bytes"
	"fmt"
)

// An alert is a rule of prometheus/netserver.rules.yml. docs/OPERATIONS.md says
// what to do about each.
type alert struct {
	name     string
	severity string // critical: somebody has to look now; warning: today
	wait     string // for how long it must be so
	expr     string
	summary  string // with Prometheus's templates
}

const (
	critical = "critical"
	warning  = "warning"
)

// each keeps what tells servers apart.
const each = "sum by (job, instance) "

// anew is how often a counter rose in a quarter of an hour, also one whose first
// value is what has happened: increase knows nothing from before it was there.
func anew(by, series string) string {
	sum := "sum by (" + by + ") "
	return sum + "(increase(" + series + "[15m])) > 0 or (" + sum + "(" + series + ") > 0 unless " + sum + "(" + series + " offset 15m))"
}

// p99 is the time under which 99 of 100 are, from the buckets of text formats or
// native ones, whichever are scraped.
func p99(name, by, matchers string) string {
	of := name + "%s" + matchers + "[5m]"
	return "(histogram_quantile(0.99, sum by (job, instance, " + by + ", le) (rate(" + fmt.Sprintf(of, "_bucket") + ")))" +
		" or histogram_quantile(0.99, sum by (job, instance, " + by + ") (rate(" + fmt.Sprintf(of, "") + "))))"
}

// p99Phase is that of a part of handshakes.
func p99Phase(phase string) string {
	return p99("netserver_handshake_phase_seconds", "port", `{phase="`+phase+`"}`)
}

// alerts is the table, in the order of the file.
func alerts() []alert {
	const end = "netserver_certificate_expiry_timestamp_seconds - time()"
	const where = "{{ $labels.instance }}"
	const ended = `sum by (job, instance, port) (rate(netserver_connections_total[15m]))`
	return []alert{
		{"NetserverDown", critical, "2m", `up{job=~"netserver.*"} == 0`,
			"the admin listener of " + where + " does not answer"},
		{"NetserverNoWorkerAnswers", critical, "1m",
			"(" + each + `(netserver_workers{state=~"serving|ending"}) or ` + each + "(netserver_start_time_seconds) * 0) <= " + each + "(netserver_workers_silent)",
			"no process of " + where + " serves clients"},
		{"NetserverWorkerSilent", warning, "2m", "netserver_workers_silent > 0",
			"{{ $value }} workers of " + where + " do not answer"},
		{"NetserverWorkerCrashes", critical, "0m", "increase(netserver_worker_crashes_total[15m]) > 0",
			"workers of " + where + " end unexpectedly"},
		{"NetserverPanic", critical, "0m", anew("job, instance, port", `netserver_connections_total{outcome="panic"}`),
			"a handler of {{ $labels.port }} on " + where + " has panicked"},
		{"NetserverReloadFailed", warning, "0m", `increase(netserver_reloads_total{result="failed"}[15m]) > 0`,
			where + " has refused its new configuration, and serves the one of before"},

		{"NetserverCertificateEnds", warning, "1h", end + " < 21 * 86400",
			"the certificate {{ $labels.file }} of {{ $labels.port }} on " + where + " ends in {{ $value | humanizeDuration }}"},
		{"NetserverCertificateEndsSoon", critical, "10m", end + " < 7 * 86400",
			"the certificate {{ $labels.file }} of {{ $labels.port }} on " + where + " ends in {{ $value | humanizeDuration }}"},
		{"NetserverCertificateUnreadable", warning, "5m", "netserver_certificate_error_timestamp_seconds > 0",
			"what {{ $labels.file }} on " + where + " contains now is not served"},
		{"NetserverRenewalFails", warning, "1h", "netserver_acme_error_timestamp_seconds > 0",
			"no certificate for {{ $labels.name }} can be ordered by " + where},
		{"NetserverCertificateRejected", warning, "10m",
			`sum by (job, instance, port) (rate(netserver_connections_total{outcome="alert"}[15m])) > 0.2 * ` + ended + " > 0.01",
			"{{ $value | humanize }} clients a second refuse the handshake of {{ $labels.port }} on " + where},

		{"NetserverTargetDown", warning, "2m", "netserver_target_up == 0",
			"the target {{ $labels.target }} of {{ $labels.backend }} is down for " + where},
		{"NetserverBackendDown", critical, "1m", "sum by (job, instance, backend) (netserver_target_up) == 0",
			"all targets of {{ $labels.backend }} are down for " + where},

		{"NetserverTargetSlow", warning, "10m", p99("netserver_target_connect_seconds", "backend, target", "") + " > 1",
			"one client of a hundred waits {{ $value | humanizeDuration }} or more for a connection to {{ $labels.target }} of {{ $labels.backend }} on " + where},

		{"NetserverClusterStoreDown", warning, "2m", "netserver_cluster_store_up == 0",
			"the store of its cluster does not answer " + where},

		{"NetserverRefusals", warning, "10m",
			"sum by (job, instance, port, limit) (rate(netserver_refused_total[5m])) > on (job, instance, port) group_left " +
				"0.05 * sum by (job, instance, port) (rate(netserver_connections_total[5m])) > 0.1",
			"{{ $labels.limit }} refuses {{ $value | humanize }} clients a second of {{ $labels.port }} on " + where},
		{"NetserverHandshakesShed", warning, "5m", "rate(netserver_handshakes_shed_total[5m]) > 1",
			where + " ends {{ $value | humanize }} handshakes a second for being too many"},
		{"NetserverPenalties", warning, "5m", "increase(netserver_penalties_total[10m]) > 10",
			where + " has put {{ $value | humanize }} sources into the penalty box in 10 minutes"},
		{"NetserverLimitNear", warning, "5m", `netserver_limit_used_ratio{limit!="max_servers"} > 0.85`,
			"{{ $value | humanizePercentage }} of {{ $labels.limit }} is in use on " + where},
		{"NetserverSignatureRefused", critical, "0m", anew("job, instance", `netserver_signatures_total{signature="refused"}`),
			"a worker of " + where + " has asked for a signature that belongs to no handshake"},

		{"NetserverHandshakeSlow", warning, "10m", p99Phase("handshake") + " > 1",
			"one handshake of a hundred takes {{ $value | humanizeDuration }} or more on {{ $labels.port }} of " + where},
		{"NetserverHandshakeWaits", warning, "10m", p99Phase("turn") + " > 0.25",
			"one handshake of a hundred waits {{ $value | humanizeDuration }} for the CPU on {{ $labels.port }} of " + where},
		{"NetserverHandshakesWasted", warning, "10m", each + "(rate(netserver_handshake_wasted_cpu_seconds_total[5m])) > 0.5",
			"{{ $value | humanize }} CPUs of " + where + " go to handshakes that come to nothing"},
	}
}

// rules writes them for Prometheus.
func rules() []byte {
	var b bytes.Buffer
	b.WriteString("# Alert rules of Prometheus for netserver. Written by go run ./packaging.\n" +
		"# The job that scrapes it is taken to be named netserver, or something that begins so.\n" +
		"groups:\n  - name: netserver\n    rules:\n")
	for _, a := range alerts() {
		fmt.Fprintf(&b, "      - alert: %s\n        expr: >-\n          %s\n        for: %s\n        labels:\n          severity: %s\n", a.name, a.expr, a.wait, a.severity)
		fmt.Fprintf(&b, "        annotations:\n          summary: >-\n            %s\n          runbook: docs/OPERATIONS.md#alerts\n", a.summary)
	}
	return b.Bytes()
}
