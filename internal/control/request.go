package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"netserver/access"
)

// The verbs.
const (
	VerbStatus    = "status"
	VerbReload    = "reload"
	VerbDrain     = "drain"
	VerbStop      = "stop"
	VerbConns     = "conns"
	VerbKill      = "kill"
	VerbLimits    = "limits"
	VerbPenalties = "penalties"
	VerbLift      = "lift"
	VerbTargets   = "targets"
	VerbTarget    = "target"
	VerbMetrics   = "metrics"
	VerbHealth    = "health"
	VerbBan       = "ban"
	VerbCerts     = "certs"
	VerbExplain   = "explain"
	VerbCluster   = "cluster"
)

// Bounds of a request.
const (
	MaxRequest   = 4 << 10 // bytes, with the newline
	MaxConns     = 100_000 // clients that one answer lists
	MaxSources   = 1000    // sources that one answer lists
	DefaultConns = 1000
	DefaultTop   = 20
)

// A Request is the request of a connection: one line of JSON.
type Request struct {
	Verb            string `json:"verb"`
	ID              string `json:"id,omitempty"`                // of kill: WORKER.CLIENT; of conns: tell all of this one, and of no other
	Network         string `json:"network,omitempty"`           // of lift and ban
	DryRun          bool   `json:"dry_run,omitempty"`           // of reload: report what it would do
	Wait            bool   `json:"wait,omitempty"`              // of drain and stop: report the remaining clients until the server has ended
	WhenOthersReady bool   `json:"when_others_ready,omitempty"` // of drain: not before another of the cluster serves the same ports and none drains
	Timeout         int    `json:"timeout,omitempty"`           // of drain: how many seconds to wait for that; 0 is DefaultOthers
	After           string `json:"after,omitempty"`             // of conns: list the clients after this one
	Limit           int    `json:"limit,omitempty"`             // of conns: clients at most; of limits: sources. 0 is the default
	Backend         string `json:"backend,omitempty"`           // of targets: only those of this one; of target: whose target
	Target          string `json:"target,omitempty"`            // of target
	Change          string `json:"change,omitempty"`            // of target: add, drain or remove
	Seconds         int    `json:"seconds,omitempty"`           // of ban: for how long; 0 is DefaultBan

	Peer string   `json:"peer,omitempty"` // of explain: as PeerText has it
	SNI  string   `json:"sni,omitempty"`  // of explain: the name that the client asks for
	ALPN []string `json:"alpn,omitempty"` // of explain: the protocols that it offers
	Port string   `json:"port,omitempty"` // of explain: which one; "" is all
}

// ParseRequest parses a request. It refuses unknown fields: an older server
// must not do half of a request. It also refuses duplicate fields and fields
// in another case.
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("the request is longer than %d bytes", MaxRequest)
	}
	if err := checkObject(b, requestFields()); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	r := new(Request)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", plain(err))
	}
	return r, r.check()
}

// requestFields returns the names of a request's members.
func requestFields() map[string]bool {
	names := map[string]bool{"verb": true}
	for _, fields := range takes {
		for _, f := range fields {
			names[f] = true
		}
	}
	return names
}

// plain removes Go terms from an error of encoding/json.
func plain(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// takes are the fields of each verb.
var takes = map[string][]string{
	VerbStatus: nil, VerbReload: {"dry_run"}, VerbDrain: {"wait", "when_others_ready", "timeout"}, VerbStop: {"wait"}, VerbConns: {"id", "after", "limit"},
	VerbKill: {"id"}, VerbLimits: {"limit"}, VerbPenalties: nil, VerbLift: {"network"},
	VerbTargets: {"backend"}, VerbTarget: {"change", "backend", "target"},
	VerbMetrics: nil, VerbCerts: nil, VerbCluster: nil,
	VerbHealth: nil, VerbBan: {"network", "seconds"},
	VerbExplain: {"peer", "sni", "alpn", "port"},
}

func (r *Request) check() error {
	fields, ok := takes[r.Verb]
	if !ok {
		return fmt.Errorf("unknown verb %q", cut(r.Verb))
	}
	for name, given := range map[string]bool{
		"id": r.ID != "", "network": r.Network != "", "dry_run": r.DryRun, "wait": r.Wait, "after": r.After != "", "limit": r.Limit != 0,
		"backend": r.Backend != "", "target": r.Target != "", "change": r.Change != "",
		"when_others_ready": r.WhenOthersReady, "timeout": r.Timeout != 0,
		"seconds": r.Seconds != 0, "peer": r.Peer != "", "sni": r.SNI != "", "alpn": r.ALPN != nil, "port": r.Port != "",
	} {
		if given && !slices.Contains(fields, name) {
			return fmt.Errorf("%s has no %s", r.Verb, name)
		}
	}
	var err error
	most := MaxConns
	switch r.Verb {
	case VerbKill:
		_, err = ParseID(r.ID)
	case VerbConns:
		err = r.checkConns()
	case VerbLift:
		_, err = ParseNetwork(r.Network)
	case VerbBan:
		err = r.checkBan()
	case VerbExplain:
		err = r.checkExplain()
	case VerbTarget:
		err = r.checkTarget()
	case VerbDrain:
		err = r.checkDrain()
	case VerbLimits:
		most = MaxSources
	}
	if err == nil && (r.Limit < 0 || r.Limit > most) {
		err = fmt.Errorf("limit %d is not between 1 and %d", r.Limit, most)
	}
	return err
}

// MaxOthers and DefaultOthers bound how many seconds drain waits for others.
const MaxOthers, DefaultOthers = 86400, 300

func (r *Request) checkDrain() error {
	switch {
	case r.Timeout != 0 && !r.WhenOthersReady:
		return errors.New("timeout goes with when_others_ready")
	case r.Timeout < 0 || r.Timeout > MaxOthers:
		return fmt.Errorf("timeout %d is not between 1 and %d seconds", r.Timeout, MaxOthers)
	}
	return nil
}

func (r *Request) checkConns() (err error) {
	switch {
	case r.ID != "" && (r.After != "" || r.Limit != 0):
		return errors.New("conns of one ID has neither limit nor after")
	case r.ID != "":
		_, err = ParseID(r.ID)
	case r.After != "":
		_, err = ParseID(r.After)
	}
	return err
}

// An ID names a client: worker and client are both numbered from 1. Worker 0
// is a server without a supervisor.
type ID struct {
	Worker int
	Client uint64
}

// ParseID reads WORKER.CLIENT.
func ParseID(s string) (ID, error) {
	w, c, ok := strings.Cut(s, ".")
	worker, werr := strconv.ParseUint(w, 10, 31)
	client, cerr := strconv.ParseUint(c, 10, 64)
	if !ok || werr != nil || cerr != nil {
		return ID{}, fmt.Errorf("%q is not a client: write WORKER.CLIENT, as listed by conns", cut(s))
	}
	return ID{int(worker), client}, nil
}

// String returns WORKER.CLIENT.
func (i ID) String() string { return fmt.Sprintf("%d.%d", i.Worker, i.Client) }

// ParseNetwork parses an address or a network, which has no bits behind its length.
func ParseNetwork(s string) (netip.Prefix, error) { return access.ParseExactNetwork(s) }

// cut shortens a bad value for a message.
func cut(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}
