package metric

import (
	"fmt"
	"slices"

	"netserver/outcome"
)

// A Type is what a family is.
type Type string

// The types, as Prometheus has them.
const (
	Counter Type = "counter"   // only rises, over reloads and ends of workers too
	Gauge   Type = "gauge"     // is as it is now
	Histo   Type = "histogram" // durations in native buckets
)

// A Family is a row of the table: what docs/METRICS.md says of it, and what a
// worker may send.
type Family struct {
	Name   string
	Type   Type
	Unit   string // seconds, bytes, or "" for numbers
	Labels []string
	Help   string
	// Sent tells that workers send it, as samples; all others are the
	// supervisor's own, or follow from what workers say otherwise.
	Sent bool
}

// The names of families.
const (
	Connections = "netserver_connections_total"
	Refused     = "netserver_refused_total"
	Build       = "netserver_build_info"
	StartTime   = "netserver_start_time_seconds"
	Workers     = "netserver_workers"
	Silent      = "netserver_workers_silent"
	Reloads     = "netserver_reloads_total"
	Crashes     = "netserver_worker_crashes_total"
	Memory      = "netserver_memory_bytes"
	Descriptors = "netserver_descriptors"
)

// families is the table, in the order in which it is shown.
var families = [...]Family{
	{Name: Connections, Type: Counter, Labels: []string{LabelPort, LabelOutcome},
		Help: "Clients that have ended and connections that were refused, by what became of them."},
	{Name: Refused, Type: Counter, Labels: []string{LabelPort, LabelLimit},
		Help: "Connections and datagrams that a limit refused, and handshakes that were ended for one. They are in netserver_connections_total too."},

	{Name: Workers, Type: Gauge, Labels: []string{LabelGeneration, LabelState},
		Help: "Processes that serve clients, by the generation that a start or reload began."},
	{Name: Silent, Type: Gauge,
		Help: "Workers that did not answer within two seconds: what they have counted since their last report is missing."},
	{Name: Reloads, Type: Counter, Labels: []string{LabelResult},
		Help: "Reloads, by whether the new configuration serves."},
	{Name: Crashes, Type: Counter,
		Help: "Workers that ended unexpectedly and were replaced."},
	{Name: Memory, Type: Gauge, Unit: "bytes", Labels: []string{LabelProcess},
		Help: "Resident memory, of all processes of a kind."},
	{Name: Descriptors, Type: Gauge, Labels: []string{LabelProcess},
		Help: "Open file descriptors, of all processes of a kind."},
	{Name: StartTime, Type: Gauge, Unit: "seconds",
		Help: "When the server was started, in Unix time."},
	{Name: Build, Type: Gauge, Labels: []string{LabelVersion, LabelGo},
		Help: "1, with the version of the program."},
}

// Families returns the table.
func Families() []Family { return slices.Clone(families[:]) }

// family returns a row of the table, nil if there is none of that name.
func family(name string) *Family {
	for i := range families {
		if families[i].Name == name {
			return &families[i]
		}
	}
	return nil
}

// The names of labels.
const (
	LabelPort       = "port"
	LabelOutcome    = "outcome"
	LabelLimit      = "limit"
	LabelGeneration = "generation"
	LabelState      = "state"
	LabelResult     = "result"
	LabelProcess    = "process"
	LabelVersion    = "version"
	LabelGo         = "go"
)

// Values returns what a label can be, in words for the documentation, and the
// list of it if it is fixed.
func Values(label string) (words string, list []string) {
	switch label {
	case LabelPort:
		return "as configured, such as 127.0.0.1:443/ssl", nil
	case LabelOutcome:
		return "an outcome of docs/ADMISSION.md", outcome.Names()
	case LabelLimit:
		return "the key of the limit, such as max_per_source", nil
	case LabelGeneration:
		return "its number", nil
	case LabelState:
		return "", []string{"starting", "serving", "ending"}
	case LabelResult:
		return "", []string{ResultDone, ResultFailed}
	case LabelProcess:
		return "", []string{ProcessSupervisor, ProcessWorker}
	case LabelVersion:
		return "of the program", nil
	case LabelGo:
		return "of the Go that it was built by", nil
	}
	return "", nil
}

// Values of labels.
const (
	ResultDone        = "done"
	ResultFailed      = "failed"
	ProcessSupervisor = "supervisor"
	ProcessWorker     = "worker"
)

// Check refuses what a worker may not send: families that are not in the table
// or not its own, labels that are not in their lists, and numbers that cannot
// be. ports is how many ports it has; limits are the keys of limits.
func (s *Sample) Check(ports int, limits []string) error {
	f := family(s.Family)
	if f == nil || !f.Sent {
		return fmt.Errorf("a family %.40q", s.Family)
	}
	names := f.Labels
	if slices.Contains(names[:min(1, len(names))], LabelPort) {
		if s.Port < 1 || s.Port > ports {
			return fmt.Errorf("%s of port %d of %d", f.Name, s.Port, ports)
		}
		names = names[1:]
	} else if s.Port != 0 {
		return fmt.Errorf("%s of a port", f.Name)
	}
	if len(s.Labels) != len(names) {
		return fmt.Errorf("%s with %d labels", f.Name, len(s.Labels))
	}
	for i, name := range names {
		_, list := Values(name)
		if name == LabelLimit {
			list = limits
		}
		if !slices.Contains(list, s.Labels[i]) {
			return fmt.Errorf("%s with the %s %.40q", f.Name, name, s.Labels[i])
		}
	}
	if (f.Type == Histo) != (s.Hist != nil) {
		return fmt.Errorf("%s is no %s", f.Name, f.Type)
	}
	if s.Hist != nil {
		if err := s.Hist.Check(); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		return nil
	}
	if !(s.Value >= 0 && s.Value <= MaxCount) {
		return fmt.Errorf("%s is %g", f.Name, s.Value)
	}
	return nil
}
