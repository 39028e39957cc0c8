package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A panel is one of the dashboard in grafana/netserver.json.
type panel struct {
	title string
	kind  string // stat, timeseries or table
	unit  string // as Grafana names it
	width int    // of 24 columns
	lines []line
	warn  float64 // from where a stat is red, or with 0 never
	about string
}

// A line is a query: @ in it stands for the job and instance that were chosen.
type line struct{ expr, legend string }

// A row is a heading with the panels below it.
type row struct {
	title  string
	panels []panel
}

// perSecond is the rate of a counter, by labels.
func perSecond(by, name, matchers string) string {
	return "sum by (" + by + ") (rate(" + name + "{@" + matchers + "}[$__rate_interval]))"
}

// quantile is of a histogram, by labels, from classic buckets or native ones.
func quantile(q, by, name, matchers string) string {
	by = strings.TrimPrefix(by+", ", ", ")
	classic := perSecond(by+"le", name+"_bucket", matchers)
	native := strings.Replace(perSecond(strings.TrimSuffix(by, ", "), name, matchers), "sum by ()", "sum", 1)
	return "histogram_quantile(" + q + ", " + classic + ") or histogram_quantile(" + q + ", " + native + ")"
}

// rows is the table of panels.
func rows() []row {
	quantiles := func(name, matchers string) []line {
		return []line{
			{quantile("0.5", "", name, matchers), "half"},
			{quantile("0.9", "", name, matchers), "90 %"},
			{quantile("0.99", "", name, matchers), "99 %"},
		}
	}
	handshakes := perSecond("tls_version, group, suite, resumed", "netserver_handshake_seconds_count", "")
	return []row{
		{"Overview", []panel{
			{title: "Clients now", kind: "stat", unit: "short", width: 4, lines: []line{{"sum(netserver_connections{@})", ""}}},
			{title: "Ended a second", kind: "stat", unit: "cps", width: 4, lines: []line{{"sum(rate(netserver_connections_total{@}[$__rate_interval]))", ""}}},
			{title: "Not served", kind: "stat", unit: "percentunit", width: 4, warn: 0.5, about: "Of the clients that ended: without served, left, probe and challenge.",
				lines: []line{{`sum(rate(netserver_connections_total{@, outcome!~"served|left|probe|challenge"}[$__rate_interval])) / sum(rate(netserver_connections_total{@}[$__rate_interval]))`, ""}}},
			{title: "Closest limit", kind: "stat", unit: "percentunit", width: 4, warn: 0.85, lines: []line{{`max(netserver_limit_used_ratio{@, limit!="max_servers"})`, ""}}},
			{title: "First certificate ends in", kind: "stat", unit: "s", width: 4, lines: []line{{"min(netserver_certificate_expiry_timestamp_seconds{@}) - time()", ""}}},
			{title: "Workers that answer", kind: "stat", unit: "short", width: 4, lines: []line{{`sum(netserver_workers{@, state=~"serving|ending"}) - sum(netserver_workers_silent{@})`, ""}}},
			{title: "Open connections by stage", kind: "timeseries", unit: "short", width: 12, lines: []line{{"sum by (stage) (netserver_connections{@})", "{{stage}}"}}},
			{title: "Bytes of clients", kind: "timeseries", unit: "Bps", width: 12, lines: []line{{perSecond("direction", "netserver_transferred_bytes_total", ""), "{{direction}}"}}},
		}},
		{"Outcomes by port", []panel{
			{title: "Outcomes", kind: "timeseries", unit: "cps", width: 12, about: "docs/OPERATIONS.md says what each means and what to do.",
				lines: []line{{perSecond("outcome", "netserver_connections_total", ""), "{{outcome}}"}}},
			{title: "Outcomes but served, by port", kind: "timeseries", unit: "cps", width: 12,
				lines: []line{{perSecond("port, outcome", "netserver_connections_total", `, outcome!="served"`), "{{port}} {{outcome}}"}}},
			{title: "Outcomes in the time shown", kind: "table", unit: "short", width: 12,
				lines: []line{{"sum by (port, outcome) (increase(netserver_connections_total{@}[$__range])) > 0", ""}}},
			{title: "Time in the handler", kind: "timeseries", unit: "s", width: 12, lines: quantiles("netserver_handler_seconds", "")},
			{title: "Datagrams", kind: "timeseries", unit: "pps", width: 12, lines: []line{
				{perSecond("port, direction", "netserver_datagrams_total", ""), "{{port}} {{direction}}"},
				{perSecond("port, reason", "netserver_datagrams_dropped_total", ""), "{{port}} dropped, {{reason}}"}}},
			{title: "Programs", kind: "timeseries", unit: "short", width: 12, lines: []line{
				{"sum(netserver_programs{@})", "running"}, {perSecond("exit", "netserver_programs_ended_total", ""), "ended a second, {{exit}}"}}},
		}},
		{"Limits", []panel{
			{title: "Refused, by limit", kind: "timeseries", unit: "cps", width: 12, lines: []line{{perSecond("port, limit", "netserver_refused_total", ""), "{{port}} {{limit}}"}}},
			{title: "Would be refused (limits_shadow)", kind: "timeseries", unit: "cps", width: 12, lines: []line{
				{perSecond("port, limit", "netserver_would_refuse_total", ""), "{{port}} {{limit}}"},
				{perSecond("port", "netserver_would_cut_total", ""), "{{port}} too slow"}}},
			{title: "Limits in use", kind: "timeseries", unit: "percentunit", width: 12, lines: []line{{"max by (limit) (netserver_limit_used_ratio{@})", "{{limit}}"}}},
			{title: "Penalty box", kind: "timeseries", unit: "short", width: 12, lines: []line{
				{"sum(netserver_penalties{@})", "in it"}, {"sum(rate(netserver_penalties_total{@}[$__rate_interval]))", "put there a second"}}},
		}},
		{"Handshakes", []panel{
			{title: "Handshake", kind: "timeseries", unit: "s", width: 8, lines: quantiles("netserver_handshake_phase_seconds", `, phase="handshake"`)},
			{title: "Wait for the hello", kind: "timeseries", unit: "s", width: 8, lines: quantiles("netserver_handshake_phase_seconds", `, phase="hello"`)},
			{title: "Wait for a turn", kind: "timeseries", unit: "s", width: 8, lines: quantiles("netserver_handshake_phase_seconds", `, phase="turn"`)},
			{title: "Agreed on", kind: "timeseries", unit: "cps", width: 12, lines: []line{
				{handshakes + " or histogram_count(" + strings.Replace(handshakes, "_count", "", 1) + ")", "{{tls_version}} {{group}} {{suite}} resumed: {{resumed}}"}}},
			{title: "CPUs for handshakes", kind: "timeseries", unit: "short", width: 6, lines: []line{
				{"sum(rate(netserver_handshake_cpu_seconds_total{@}[$__rate_interval]))", "all"},
				{"sum(rate(netserver_handshake_wasted_cpu_seconds_total{@}[$__rate_interval]))", "for nothing"}}},
			{title: "Handshake scheduler", kind: "timeseries", unit: "short", width: 6, lines: []line{
				{"sum(netserver_handshakes_unfinished{@})", "unfinished"}, {"sum(netserver_handshakes_waiting{@})", "waiting"},
				{"sum(netserver_handshakes_running{@})", "running"}, {"sum(rate(netserver_handshakes_shed_total{@}[$__rate_interval]))", "shed a second"}}},
		}},
		{"Targets and certificates", []panel{
			{title: "Targets that are up", kind: "table", unit: "short", width: 8, lines: []line{{"max by (instance, backend, target) (netserver_target_up{@})", ""}}},
			{title: "Clients of targets", kind: "timeseries", unit: "short", width: 8, lines: []line{{"sum by (backend, target) (netserver_target_clients{@})", "{{backend}} {{target}}"}}},
			{title: "Connections to targets", kind: "timeseries", unit: "cps", width: 8, lines: []line{{perSecond("target, result", "netserver_target_connections_total", ""), "{{target}} {{result}}"}}},
			{title: "Time to connect to targets", kind: "timeseries", unit: "s", width: 8, lines: []line{
				{quantile("0.5", "backend, target", "netserver_target_connect_seconds", ""), "{{backend}} {{target}}, half"},
				{quantile("0.99", "backend, target", "netserver_target_connect_seconds", ""), "{{backend}} {{target}}, 99 %"}}},
			{title: "Certificates end in", kind: "table", unit: "s", width: 8, lines: []line{{"min by (instance, port, file) (netserver_certificate_expiry_timestamp_seconds{@}) - time()", ""}}},
			{title: "Orders of certificates (ACME)", kind: "timeseries", unit: "short", width: 8, lines: []line{{"sum by (result) (increase(netserver_acme_orders_total{@}[$__rate_interval]))", "{{result}}"}}},
			{title: "Next order of a certificate in", kind: "table", unit: "s", width: 8, lines: []line{{"min by (instance, name) (netserver_acme_next_order_timestamp_seconds{@}) - time()", ""}}},
			{title: "Certificates that could not be ordered", kind: "table", unit: "s", about: "Since the last try.", width: 8, lines: []line{{"time() - (max by (instance, name) (netserver_acme_error_timestamp_seconds{@}) > 0)", ""}}},
			{title: "Certificates that are not taken over", kind: "table", unit: "short", width: 8, lines: []line{{"max by (instance, port, file) (netserver_certificate_error_timestamp_seconds{@}) > 0", ""}}},
		}},
		{"Workers and memory", []panel{
			{title: "Workers", kind: "timeseries", unit: "short", width: 8, lines: []line{
				{"sum by (generation, state) (netserver_workers{@})", "generation {{generation}} {{state}}"}, {"sum(netserver_workers_silent{@})", "silent"}}},
			{title: "Reloads and crashes", kind: "timeseries", unit: "short", width: 8, lines: []line{
				{"sum by (result) (increase(netserver_reloads_total{@}[$__rate_interval]))", "reloads {{result}}"},
				{"sum(increase(netserver_worker_crashes_total{@}[$__rate_interval]))", "crashes"}}},
			{title: "Up", kind: "stat", unit: "s", width: 4, lines: []line{{"time() - max(netserver_start_time_seconds{@})", ""}}},
			{title: "Jobs", kind: "stat", unit: "short", width: 4, lines: []line{{"sum(netserver_jobs{@})", ""}}},
			{title: "Memory", kind: "timeseries", unit: "bytes", width: 8, lines: []line{
				{"sum by (process) (netserver_memory_bytes{@})", "{{process}}"}, {"sum(netserver_connections_memory_bytes{@})", "connections"}}},
			{title: "Descriptors", kind: "timeseries", unit: "short", width: 8, lines: []line{{"sum by (process) (netserver_descriptors{@})", "{{process}}"}}},
			{title: "Goroutines", kind: "timeseries", unit: "short", width: 8, lines: []line{{"sum by (instance) (netserver_goroutines{@})", "{{instance}}"}}},
		}},
	}
}

const panelHeight = 8

// dashboard writes the panels for Grafana.
func dashboard() ([]byte, error) {
	source := map[string]any{"type": "prometheus", "uid": "${datasource}"}
	var panels []any
	id, y := 0, 0
	for _, r := range rows() {
		id++
		panels = append(panels, map[string]any{"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": map[string]int{"x": 0, "y": y, "w": 24, "h": 1}})
		y++
		x, height := 0, 0
		for i := range r.panels {
			p := &r.panels[i]
			if x+p.width > 24 {
				x, y, height = 0, y+height, 0
			}
			id++
			h := panelHeight
			if p.kind == "stat" {
				h = panelHeight / 2
			}
			g := p.grafana(source)
			g["id"], g["gridPos"] = id, map[string]int{"x": x, "y": y, "w": p.width, "h": h}
			panels = append(panels, g)
			x, height = x+p.width, max(height, h)
		}
		y += height
	}
	b, err := json.MarshalIndent(map[string]any{
		"uid": "netserver", "title": "netserver", "tags": []string{"netserver"}, "schemaVersion": 38, "version": 1, "editable": true,
		"time": map[string]string{"from": "now-3h", "to": "now"}, "refresh": "30s", "timezone": "browser", "graphTooltip": 1,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
			choice("job", "label_values(netserver_start_time_seconds, job)", source),
			choice("instance", `label_values(netserver_start_time_seconds{job=~"$job"}, instance)`, source),
		}},
		"panels": panels,
	}, "", " ")
	return append(b, '\n'), err
}

// choice is a variable of the dashboard.
func choice(name, query string, source any) map[string]any {
	return map[string]any{"name": name, "type": "query", "datasource": source, "query": query, "refresh": 2,
		"includeAll": true, "multi": true, "allValue": ".*", "current": map[string]any{"text": "All", "value": "$__all"}}
}

// grafana returns a panel as Grafana has it.
func (p *panel) grafana(source any) map[string]any {
	var targets []any
	for i, l := range p.lines {
		t := map[string]any{"refId": fmt.Sprintf("%c", 'A'+i), "datasource": source, "expr": strings.ReplaceAll(l.expr, "@", `job=~"$job", instance=~"$instance"`)}
		if l.legend != "" {
			t["legendFormat"] = l.legend
		}
		if p.kind != "timeseries" {
			t["instant"] = true
		}
		if p.kind == "table" {
			t["format"] = "table"
		}
		targets = append(targets, t)
	}
	defaults := map[string]any{"unit": p.unit}
	if p.warn > 0 {
		defaults["thresholds"] = map[string]any{"mode": "absolute", "steps": []any{
			map[string]any{"color": "green", "value": nil}, map[string]any{"color": "red", "value": p.warn}}}
	}
	g := map[string]any{"type": p.kind, "title": p.title, "datasource": source, "targets": targets,
		"fieldConfig": map[string]any{"defaults": defaults, "overrides": []any{}}}
	switch p.kind {
	case "timeseries":
		defaults["custom"] = map[string]any{"fillOpacity": 10, "showPoints": "never"}
		g["options"] = map[string]any{"legend": map[string]any{"displayMode": "list", "placement": "bottom"}, "tooltip": map[string]any{"mode": "multi", "sort": "desc"}}
	case "table":
		g["transformations"] = []any{map[string]any{"id": "organize", "options": map[string]any{"excludeByName": map[string]bool{"Time": true}}}}
	}
	if p.about != "" {
		g["description"] = p.about
	}
	return g
}
