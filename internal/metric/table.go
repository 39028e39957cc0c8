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
	Unit   string // seconds, bytes, ratio, or "" for numbers
	Labels []string
	Help   string
	// Sent tells that workers send it, as samples; all others are the
	// supervisor's own, or follow from what workers say otherwise.
	Sent bool
}

// The names of families.
const (
	Connections      = "netserver_connections_total"
	Refused          = "netserver_refused_total"
	WouldRefuse      = "netserver_would_refuse_total"
	WouldCut         = "netserver_would_cut_total"
	Quiet            = "netserver_quiet_probes_total"
	Open             = "netserver_connections"
	Bytes            = "netserver_transferred_bytes_total"
	Datagrams        = "netserver_datagrams_total"
	DatagramsDropped = "netserver_datagrams_dropped_total"
	HandlerTime      = "netserver_handler_seconds"

	Handshake         = "netserver_handshake_seconds"
	HandshakePhase    = "netserver_handshake_phase_seconds"
	HandshakeCPU      = "netserver_handshake_cpu_seconds_total"
	HandshakeWasted   = "netserver_handshake_wasted_cpu_seconds_total"
	HandshakesOpen    = "netserver_handshakes_unfinished"
	HandshakesWaiting = "netserver_handshakes_waiting"
	HandshakesRunning = "netserver_handshakes_running"
	HandshakesShed    = "netserver_handshakes_shed_total"

	ProgramsStarted = "netserver_programs_started_total"
	ProgramsEnded   = "netserver_programs_ended_total"
	Programs        = "netserver_programs"

	TargetUp      = "netserver_target_up"
	TargetClients = "netserver_target_clients"
	TargetTotal   = "netserver_target_connections_total"
	TargetConnect = "netserver_target_connect_seconds"
	TargetChecks  = "netserver_target_checks_total"
	TargetFaults  = "netserver_target_check_failures_total"

	CertificateEnd   = "netserver_certificate_expiry_timestamp_seconds"
	CertificateSince = "netserver_certificate_since_timestamp_seconds"
	CertificateError = "netserver_certificate_error_timestamp_seconds"

	ACMEOrders = "netserver_acme_orders_total"
	ACMENext   = "netserver_acme_next_order_timestamp_seconds"
	ACMEError  = "netserver_acme_error_timestamp_seconds"

	Signatures = "netserver_signatures_total"
	Jobs       = "netserver_jobs"
	JobsBegun  = "netserver_jobs_started_total"

	Penalties  = "netserver_penalties"
	Penalised  = "netserver_penalties_total"
	ConnMemory = "netserver_connections_memory_bytes"
	LimitUsed  = "netserver_limit_used_ratio"
	Goroutines = "netserver_goroutines"

	ClusterUp       = "netserver_cluster_store_up"
	ClusterNodes    = "netserver_cluster_nodes"
	ClusterExchange = "netserver_cluster_exchange_seconds"
	ClusterErrors   = "netserver_cluster_errors_total"
	ClusterSources  = "netserver_cluster_sources"
	ClusterTargets  = "netserver_cluster_targets_down"
	ClusterSent     = "netserver_cluster_sent_bytes_total"

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
	{Name: WouldRefuse, Type: Counter, Labels: []string{LabelPort, LabelLimit}, Sent: true,
		Help: "What a limit would have refused but for limits_shadow."},
	{Name: WouldCut, Type: Counter, Labels: []string{LabelPort}, Sent: true,
		Help: "Clients below a minimum rate that would have been ended but for limits_shadow."},
	{Name: Quiet, Type: Counter, Labels: []string{LabelPort}, Sent: true,
		Help: "Health checks from the networks of quiet_from, which no log has. They are in netserver_connections_total too, as probe."},
	{Name: Open, Type: Gauge, Labels: []string{LabelPort, LabelStage}, Sent: true,
		Help: "Clients that are connected, by what they have come to. In a process with 1000 clients or more, these and their bytes may be those of up to 5 seconds before: 2 with 10,000."},
	{Name: Bytes, Type: Counter, Unit: "bytes", Labels: []string{LabelPort, LabelDirection}, Sent: true,
		Help: "What handlers have read from clients and written to them, without TLS's own bytes. Clients that are still connected are included."},
	{Name: Datagrams, Type: Counter, Labels: []string{LabelPort, LabelDirection}, Sent: true,
		Help: "Datagrams that came, refused ones too, and those that were sent."},
	{Name: DatagramsDropped, Type: Counter, Labels: []string{LabelPort, LabelReason}, Sent: true,
		Help: "Datagrams that came and were not served: too many waited in their session when it ended, or longer than udp_recv_len."},
	{Name: HandlerTime, Type: Histo, Unit: "seconds", Labels: []string{LabelPort}, Sent: true,
		Help: "How long clients were served, from their place in the handler to its end. Clients that are still served are missing."},

	{Name: Handshake, Type: Histo, Unit: "seconds", Labels: []string{LabelTLS, LabelGroup, LabelSuite, LabelResumed}, Sent: true,
		Help: "Handshakes that succeeded, by what was agreed on, and how long they took from their first turn."},
	{Name: HandshakePhase, Type: Histo, Unit: "seconds", Labels: []string{LabelPort, LabelPhase}, Sent: true,
		Help: "Parts of handshakes: hello, from the accept to the end of the client's hello; turn, waits for the CPU in the handshake scheduler; handshake, from the first turn to the end of one that succeeded."},
	{Name: HandshakeCPU, Type: Counter, Unit: "seconds", Labels: []string{LabelPort}, Sent: true,
		Help: "Time that handshakes had their turns for, without waits for the network, as the handshake scheduler measures it; none with handshake_queue none."},
	{Name: HandshakeWasted, Type: Counter, Unit: "seconds", Labels: []string{LabelPort}, Sent: true,
		Help: "The part of that which was for clients that failed, were refused, or never sent anything after their handshake."},
	{Name: HandshakesOpen, Type: Gauge, Sent: true,
		Help: "Handshakes under the scheduler that are not finished."},
	{Name: HandshakesWaiting, Type: Gauge, Sent: true,
		Help: "Handshakes that wait for a turn."},
	{Name: HandshakesRunning, Type: Gauge, Sent: true,
		Help: "Handshakes that have a turn."},
	{Name: HandshakesShed, Type: Counter, Sent: true,
		Help: "Handshakes that the scheduler ended for being too many, for a limit or for memory."},

	{Name: Penalties, Type: Gauge, Sent: true,
		Help: "Sources and networks in the penalty box, those of each worker counted for themselves."},
	{Name: Penalised, Type: Counter, Sent: true,
		Help: "How often a source or network was put into the penalty box."},
	{Name: ConnMemory, Type: Gauge, Unit: "bytes", Sent: true,
		Help: "What connections take, as max_memory counts it."},
	{Name: LimitUsed, Type: Gauge, Unit: "ratio", Labels: []string{LabelLimit}, Sent: true,
		Help: "How much of a limit is in use, from 0 to 1, in the process that is closest to it: max_connections, max_servers, max_handshakes and max_memory where they are set, and descriptors, of what the system allows a process."},
	{Name: Goroutines, Type: Gauge, Sent: true,
		Help: "Goroutines of the processes that serve."},

	{Name: ProgramsStarted, Type: Counter, Sent: true,
		Help: "Programs that were started for clients and requests, spare ones too."},
	{Name: ProgramsEnded, Type: Counter, Labels: []string{LabelExit}, Sent: true,
		Help: "Programs that have ended, by how."},
	{Name: Programs, Type: Gauge, Sent: true,
		Help: "Programs that run now."},

	{Name: TargetUp, Type: Gauge, Labels: []string{LabelBackend, LabelTarget}, Sent: true,
		Help: "Addresses of the target that are up, those of each worker counted for themselves: 0 is that it is down everywhere."},
	{Name: TargetClients, Type: Gauge, Labels: []string{LabelBackend, LabelTarget}, Sent: true,
		Help: "Clients that the target has now."},
	{Name: TargetTotal, Type: Counter, Labels: []string{LabelBackend, LabelTarget, LabelResult}, Sent: true,
		Help: "Connections of clients to the target, and those that could not be made."},
	{Name: TargetConnect, Type: Histo, Unit: "seconds", Labels: []string{LabelBackend, LabelTarget}, Sent: true,
		Help: "How long it took to connect clients to the target, from the choice of the first target that was tried for them to the last step before their bytes go through."},
	{Name: TargetChecks, Type: Counter, Labels: []string{LabelBackend, LabelTarget}, Sent: true,
		Help: "Checks of the target's addresses by all workers, and tries whether one that had failed is back."},
	{Name: TargetFaults, Type: Counter, Labels: []string{LabelBackend, LabelTarget}, Sent: true,
		Help: "Those of them that the target failed."},

	{Name: CertificateEnd, Type: Gauge, Unit: "seconds", Labels: []string{LabelPort, LabelFile},
		Help: "When the first certificate of the chain that the port serves ends, in Unix time."},
	{Name: CertificateSince, Type: Gauge, Unit: "seconds", Labels: []string{LabelPort, LabelFile},
		Help: "Since when the certificate is served by the newest worker, in Unix time."},
	{Name: CertificateError, Type: Gauge, Unit: "seconds", Labels: []string{LabelPort, LabelFile},
		Help: "When newer contents of the file were refused last, in Unix time; 0 if what it contains is served."},

	{Name: ACMEOrders, Type: Counter, Labels: []string{LabelResult},
		Help: "Orders of certificates at acme_directory, by whether one was obtained."},
	{Name: ACMENext, Type: Gauge, Unit: "seconds", Labels: []string{LabelName},
		Help: "When the next certificate for the name is ordered, a renewal or after a failure, in Unix time."},
	{Name: ACMEError, Type: Gauge, Unit: "seconds", Labels: []string{LabelName},
		Help: "When the last order for the name failed, in Unix time; 0 if it did not. If acme_storage cannot be used, that counts as a failure of all."},

	{Name: Workers, Type: Gauge, Labels: []string{LabelGeneration, LabelState},
		Help: "Processes that serve clients, by the generation that a start or reload began."},
	{Name: Signatures, Type: Counter, Labels: []string{LabelSignature},
		Help: "With key_isolation: handshakes that the supervisor has signed for workers, requests that it refused because they belong to no handshake, and those that had to wait."},
	{Name: JobsBegun, Type: Counter,
		Help: "Jobs that were started."},
	{Name: Jobs, Type: Gauge,
		Help: "Jobs that run now."},
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
	{Name: ClusterUp, Type: Gauge,
		Help: "1 if the store of the cluster answers, else 0."},
	{Name: ClusterNodes, Type: Gauge,
		Help: "Servers of the cluster that live, this one included."},
	{Name: ClusterExchange, Type: Gauge, Unit: "seconds",
		Help: "How long ago this server last wrote to the store of the cluster."},
	{Name: ClusterErrors, Type: Counter, Labels: []string{LabelKind},
		Help: "Errors of the store of the cluster since the process that shares was started."},
	{Name: ClusterSources, Type: Gauge,
		Help: "Sources and networks whose clients other servers of the cluster have told of."},
	{Name: ClusterTargets, Type: Gauge,
		Help: "Targets of this server that as many other servers of the cluster find down as cluster_health_quorum says, whether it goes by that or not."},
	{Name: ClusterSent, Type: Counter, Unit: "bytes",
		Help: "What this server has written to the store of the cluster, since the process that shares was started."},
	{Name: StartTime, Type: Gauge, Unit: "seconds",
		Help: "When the server was started, in Unix time."},
	{Name: Build, Type: Gauge, Labels: []string{LabelVersion, LabelGo},
		Help: "1, with the version of the program."},
}

// UsedLimits returns the keys of limits of which workers say how much is in use.
func UsedLimits() []string {
	return []string{"max_connections", "max_servers", "max_handshakes", "max_memory"}
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
	LabelStage      = "stage"
	LabelDirection  = "direction"
	LabelReason     = "reason"
	LabelPhase      = "phase"
	LabelTLS        = "tls_version"
	LabelGroup      = "group"
	LabelSuite      = "suite"
	LabelResumed    = "resumed"
	LabelBackend    = "backend"
	LabelTarget     = "target"
	LabelFile       = "file"
	LabelName       = "name"
	LabelExit       = "exit"
	LabelSignature  = "signature"
	LabelKind       = "kind"
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
		return "the key of the limit, such as max_per_source, or descriptors", nil
	case LabelGeneration:
		return "its number", nil
	case LabelState:
		return "", []string{"starting", "serving", "ending"}
	case LabelKind:
		return "", []string{"changed", "closed", "denied", "full", "invalid", "read_only", "refused", "timeout", "unreachable", "value"}
	case LabelResult:
		return "", []string{ResultDone, ResultFailed}
	case LabelProcess:
		return "", []string{ProcessSupervisor, ProcessWorker}
	case LabelStage:
		return "", []string{"accept", "header", "admit", "handshake", "access", "handler", "close"}
	case LabelDirection:
		return "", []string{DirectionIn, DirectionOut}
	case LabelReason:
		return "", []string{DropQueue, DropOversize}
	case LabelPhase:
		return "", []string{PhaseHello, PhaseTurn, PhaseShake}
	case LabelTLS:
		return "", versions()
	case LabelGroup:
		return "", groups()
	case LabelSuite:
		return "as IANA names it, such as TLS_AES_128_GCM_SHA256, or " + Other, suites()
	case LabelResumed:
		return "", []string{Yes, No}
	case LabelBackend:
		return "the name of the [[backend]], or proxy_to", nil
	case LabelTarget:
		return "as configured, or other for those of targets_file and ctl targets add", nil
	case LabelFile:
		return "as configured, or memory for a certificate made by the server", nil
	case LabelName:
		return "one of acme_domains", nil
	case LabelExit:
		return "", []string{ExitSuccess, ExitFailure, ExitSignal}
	case LabelSignature:
		return "", []string{"signed", "refused", "slowed"}
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
	LimitDescriptors  = "descriptors"

	ExitSuccess = "success"
	ExitFailure = "failure"
	ExitSignal  = "signal"

	DirectionIn  = "in"
	DirectionOut = "out"
	DropQueue    = "queue"
	DropOversize = "oversize"
	PhaseHello   = "hello"
	PhaseTurn    = "turn"
	PhaseShake   = "handshake"
	Yes          = "yes"
	No           = "no"
)

// Check refuses what a worker may not send: families that are not in the table
// or not its own, labels that are not in their lists, and numbers that cannot
// be. ports is how many ports it has; has tells what labels can be that have no
// list of their own.
func (s *Sample) Check(ports int, has func(label, value string) bool) error {
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
		if !slices.Contains(list, s.Labels[i]) && (list != nil || !has(name, s.Labels[i])) {
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
