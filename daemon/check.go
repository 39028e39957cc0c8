package daemon

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"netserver/access"
	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/admit"
	"netserver/internal/bridge"
	"netserver/internal/certfile"
	"netserver/proto"
)

// checked is what --check prints.
type checked struct {
	ServerType string              `json:"server_type"`
	Listeners  []checkedListener   `json:"listeners"`
	Services   []checkedService    `json:"services,omitempty"` // in the order of the listeners; then the admin listener
	Backends   []checkedBlock      `json:"backends,omitempty"`
	Options    map[string]any      `json:"options"`
	Origin     map[string]string   `json:"origin"`
	Limits     bridge.Budget       `json:"limits"`
	ACME       *checkedACME        `json:"acme,omitempty"`
	Access     *access.Explanation `json:"access,omitempty"`
	Peer       *checkedPeer        `json:"peer,omitempty"`
	TLS        []checkedTLS        `json:"tls,omitempty"`
}

type checkedListener struct {
	Host  string `json:"host"`
	Port  string `json:"port"`
	Proto string `json:"proto"`
	IPv   string `json:"ipv"`
}

// A checkedACME is what is ordered by ACME: a certificate for each name.
type checkedACME struct {
	Directory string   `json:"directory"`
	Challenge string   `json:"challenge"`
	Names     []string `json:"names"`
}

// A checkedService is what serves the clients of a port, for servers whose
// ports differ in that or that have an admin listener.
type checkedService struct {
	Port    string              `json:"port"`
	Handler string              `json:"handler"`           // in a few words
	URL     string              `json:"url,omitempty"`     // of the admin listener; for a UNIX socket a command that asks it
	Options map[string]any      `json:"options,omitempty"` // that it has for itself
	Routes  []checkedBlock      `json:"routes,omitempty"`
	Route   *serving.RouteTaken `json:"route,omitempty"` // of the client that was asked about
}

// A checkedBlock is a table of a TOML file.
type checkedBlock struct {
	Origin  string         `json:"origin"`
	Handler string         `json:"handler,omitempty"` // of a route
	Options map[string]any `json:"options"`           // that it gives
}

// checkedTLS is what a TLS port does with the client of --cert and --sni.
type checkedTLS struct {
	Port        string `json:"port"`
	Certificate string `json:"certificate"` // that is served
	Rule        string `json:"rule"`        // that judges the client's
	Allowed     bool   `json:"allowed"`
	Reason      string `json:"reason"`
}

// setSNI takes the name that a client asks for: one that no client can send
// would be said to take a route that nobody takes.
func (a *checkKeys) setSNI(vals []conf.Value) error {
	v := vals[len(vals)-1]
	if a.sni = v.Text; len(v.Text) > 255 || !isPrintable(v.Text) {
		return v.Errorf("%s cannot be asked for by a client: a name has at most 255 characters, of ASCII and without blanks; names in other alphabets are written as xn--", quoted(v.Text))
	}
	return nil
}

// setALPN takes the protocols that a client offers.
func (a *checkKeys) setALPN(vals []conf.Value) error {
	a.alpn = nil
	for _, v := range vals {
		if v.Text == "" || len(v.Text) > 255 || !isPrintable(v.Text) {
			return v.Errorf("%s cannot be offered by a client: a protocol has 1 to 255 characters, of ASCII and without blanks", quoted(v.Text))
		}
		a.alpn = append(a.alpn, v.Text)
	}
	return nil
}

// isPrintable reports whether s is of ASCII that can be seen.
func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// quoted returns s with quotes, and not much of it.
func quoted(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%q...", s[:80])
	}
	return fmt.Sprintf("%q", s)
}

// printCheck prints the resolved configuration as one JSON object, and what
// would happen to the client that --check was asked about. It reports whether
// one port at least would let that client in, by its address and, if one is
// given, by its certificate.
func (p *program) printCheck(ctx context.Context, w io.Writer, res *conf.Result) (allowed bool, err error) {
	out := checked{
		ServerType: p.conf.typeName(),
		Listeners:  []checkedListener{},
		Options:    res.Options(),
		Origin:     res.Origins(),
		Limits:     p.engine().Budget(),
	}
	if a := &p.conf.ACME.config; !a.Zero() {
		out.ACME = &checkedACME{Directory: a.Directory, Challenge: a.Kind(), Names: a.Names}
	}
	for _, spec := range p.conf.Server.Ports {
		out.Listeners = append(out.Listeners, checkedListener{Host: spec.Host, Port: spec.Port, Proto: spec.Proto, IPv: spec.IPv})
	}
	if !p.library && (p.admin != nil || p.conf.services.Differ()) {
		for i := range p.conf.Server.Ports {
			out.Services = append(out.Services, p.checkedService(i))
		}
	}
	if p.admin != nil {
		spec := p.admin.Server.Config.Ports[0]
		out.Services = append(out.Services, checkedService{Port: spec.Short(), Handler: "admin", URL: logging.AdminURL(spec)})
	}
	for _, b := range res.Tables[serving.TableBackend] {
		out.Backends = append(out.Backends, checkedBlock{Origin: b.Origin.String(), Options: res.BlockOptions(serving.TableBackend, b)})
	}
	var errs []error
	ask := p.conf.check
	if ask.peer != "" {
		e, err := p.explain(ctx, &p.conf.Server.Access.Rules)
		out.Access, out.Peer = e, p.explainLimits(ctx, e)
		errs = append(errs, err)
	}
	if ask.cert != "" || ask.sni != "" {
		var err error
		out.TLS, err = p.explainTLS()
		errs = append(errs, err)
		if ask.cert != "" {
			out.Peer.denyBy(out.TLS)
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return out.allowed(), errors.Join(append(errs, e.Encode(out))...)
}

// checkedService is what serves the clients of the port at position i.
func (p *program) checkedService(i int) checkedService {
	c, spec := p.conf, p.conf.Server.Ports[i]
	l := checkedService{Port: spec.Short()}
	s := c.services.Of(i)
	l.Handler = s.Name()
	block := c.services.Own(i)
	own := conf.Block{Values: maps.Clone(spec.Params)}
	if own.Values == nil {
		own.Values = make(conf.Values)
	}
	maps.Copy(own.Values, block.Values)
	l.Options = p.res.BlockOptions("listen", own)
	l.Route = p.explainRoute(i)
	for j, r := range s.Routes() {
		l.Routes = append(l.Routes, checkedBlock{
			Origin: r.Origin.String(), Handler: r.Service.Name(), Options: p.res.BlockOptions("listen."+serving.TableRoute, block.Tables[serving.TableRoute][j]),
		})
	}
	return l
}

// allowed reports whether one of the ports lets the client's address in, and
// one of the TLS ports its certificate where that was asked for.
func (c *checked) allowed() bool {
	if len(c.TLS) > 0 && !slices.ContainsFunc(c.TLS, func(v checkedTLS) bool { return v.Allowed }) {
		return false
	}
	if c.Peer == nil || len(c.Peer.Ports) == 0 {
		return c.Access == nil || c.Access.Allowed
	}
	return slices.ContainsFunc(c.Peer.Ports, func(p checkedPort) bool { return p.Allowed })
}

// explain tells what rules say of the client of --peer.
func (p *program) explain(ctx context.Context, rules *access.Rules) (*access.Explanation, error) {
	policy, err := rules.Compile()
	if err != nil {
		return nil, nil // reported with the rest of the configuration
	}
	e, err := access.Explain(ctx, policy, &access.Lookups{}, p.conf.check.peer, p.conf.check.host)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	return &e, nil
}

func (p *program) explainTLS() ([]checkedTLS, error) {
	chain, err := readChain(p.conf.check.cert)
	if err != nil {
		return nil, err
	}
	var all []checkedTLS
	for i, t := range p.transports {
		src, ok := t.(proto.Sourced)
		if !ok {
			continue
		}
		e := src.Source().Explain(p.conf.check.sni, chain)
		all = append(all, checkedTLS{
			Port: p.conf.Server.Ports[i].Short(), Certificate: e.Certificate,
			Rule: e.Rule, Allowed: e.Allowed, Reason: e.Reason,
		})
	}
	return all, nil
}

// readChain reads the certificates of a PEM file; none if the name is empty.
func readChain(file string) ([]*x509.Certificate, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("cert: %s: %w", quoted(file), err)
	}
	chain, err := certfile.Authorities(data)
	if err != nil {
		return nil, fmt.Errorf("cert: %s %w", quoted(file), err)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("cert: %s: there is no certificate in it", quoted(file))
	}
	return chain, nil
}

// answerCheck is what a process does that checks the configuration for a
// running supervisor.
func (v *invocation) answerCheck(p *program, pl *wire.Plan, err error) int {
	defer v.part.Link.Close()
	if err == nil && pl == nil {
		err = errors.New("the type was changed to one without a supervisor; stop the server and start it again")
	}
	if err != nil {
		m := wire.Message{Op: wire.OpFailed}
		for _, e := range logging.Split(err) {
			m.Lines = append(m.Lines, e.Error())
		}
		wire.Send(v.part.Link, m)
		return wire.ExitUsage
	}
	if err := wire.Send(v.part.Link, wire.Message{Op: wire.OpPlan, Plan: pl, Contents: p.files.contents}); err != nil {
		return wire.ExitFailed
	}
	return wire.ExitDone
}

// checkedPeer is what limits and ports do with the client that --check was
// asked about. Which limit would refuse it depends on what is connected, and a
// running server counts that.
type checkedPeer struct {
	Source        string        `json:"source,omitempty"`  // what it is counted as
	Network       string        `json:"network,omitempty"` // around it
	PenaltyExempt bool          `json:"penalty_exempt"`
	Ports         []checkedPort `json:"ports,omitempty"`
}

// checkedPort is what a port decides by the address of who connects.
type checkedPort struct {
	Port    string              `json:"port"`
	Allowed bool                `json:"allowed"`
	Rule    string              `json:"rule"`
	Access  *access.Explanation `json:"access,omitempty"` // by rules of its own
	// Requires is what a client has to have beside its address, and was not
	// told of it.
	Requires string `json:"requires,omitempty"`
}

// explainLimits tells how the client of --peer is counted, and which ports let
// it in; e is what the rules for addresses say, which hold for every port
// without rules of its own. What is wrong with the address or a port is reported
// elsewhere.
func (p *program) explainLimits(ctx context.Context, e *access.Explanation) *checkedPeer {
	peer, err := access.ParsePeer(p.conf.check.peer)
	if err != nil {
		return nil
	}
	var c checkedPeer
	if peer.IP.IsValid() {
		source, network := admit.Tiers(peer.IP)
		c.Source, c.Network = source.String(), network.String()
		c.PenaltyExempt = contains(p.conf.Server.Admission.Penalty.Exempt, peer.IP)
	}
	for i, spec := range p.conf.Server.Ports {
		if spec.IsUnix() != peer.Unix {
			continue // it does not come that way
		}
		v, err := p.engine().ExplainPort(spec, peer)
		if err != nil {
			continue
		}
		port, e := checkedPort{Port: spec.Short()}, e
		if rules, own := p.engine().RulesOf(spec); own && !v.Proxied {
			if e, err = p.explain(ctx, &rules); err != nil {
				continue
			}
			port.Access = e
		}
		if v.Allowed && !v.Proxied && e != nil {
			v.Allowed, v.Why = e.Allowed, ruleText(e, v.Why)
		}
		port.Allowed, port.Rule = v.Allowed, v.Why
		if port.Allowed {
			port.Requires = p.stillRequired(i)
		}
		c.Ports = append(c.Ports, port)
	}
	return &c
}

// ruleText says by which rule for addresses a port decides, and what else it does
// with one.
func ruleText(e *access.Explanation, beside string) string {
	rule := e.Rule
	if rule == "no rules" { // as access.Verdict has it
		rule = "no rules for addresses: each may connect"
	}
	if e.Allowed && beside != "" {
		rule += "; " + beside
	}
	return rule
}

// stillRequired says what a client whose address may connect to the port at
// position i has to have beside it, where --check was not told of it.
func (p *program) stillRequired(i int) string {
	ask := p.conf.check
	if ask.cert != "" || i >= len(p.transports) {
		return ""
	}
	src, ok := p.transports[i].(proto.Sourced)
	if !ok || !src.Source().Explain(ask.sni, nil).Required {
		return ""
	}
	if r := p.explainRoute(i); r != nil && r.PassThrough {
		return "" // it is not decrypted
	}
	return "a client certificate (SSL_verify_mode): --cert FILE tells whether one is let in"
}

// denyBy takes back what a port allows by the address where it denies the
// client's certificate.
func (c *checkedPeer) denyBy(verdicts []checkedTLS) {
	if c == nil {
		return
	}
	for _, v := range verdicts {
		for i := range c.Ports {
			if p := &c.Ports[i]; p.Port == v.Port && p.Allowed && !v.Allowed {
				p.Allowed, p.Rule = false, cmp.Or(v.Reason, v.Certificate)
			}
		}
	}
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}

// explainRoute says which route of a port the client of --peer, --sni, --alpn
// and --cert takes; nil if the port has none, or if nobody asked.
func (p *program) explainRoute(i int) *serving.RouteTaken {
	ask, spec := p.conf.check, p.conf.Server.Ports[i]
	if ask.peer == "" && ask.sni == "" && len(ask.alpn) == 0 && ask.cert == "" {
		return nil
	}
	peer, _ := access.ParsePeer(ask.peer) // what is wrong with it is reported elsewhere
	client := serving.Client{From: peer.IP, ServerName: ask.sni, ALPN: ask.alpn}
	if chain, err := readChain(ask.cert); err == nil && len(chain) > 0 {
		client.Certificate = chain[0]
	}
	return serving.Explain(p.server.Handlers[spec.Short()], spec, client)
}
