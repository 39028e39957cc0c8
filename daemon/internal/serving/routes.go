package serving

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"netserver"
	"netserver/access"
	"netserver/conf"
	"netserver/handler/route"
	"netserver/port"
)

// TableRoute is the name of the tables in a [[listen]] block that routes are
// written as.
const TableRoute = "route"

// keyRefuse is the key of a route that serves nobody.
const keyRefuse = "refuse"

// A routeConfig is one [[listen.route]]: conditions, and what serves the
// clients that fulfil them. What it does not say itself its port says, or the
// whole server; but a handler it has always of its own.
type routeConfig struct {
	Config
	Name        string
	When        []route.Condition
	PassThrough bool
	Refuse      bool

	at conf.Origin
}

// define defines the keys of a [[listen.route]].
func (r *routeConfig) define(s *conf.Set) {
	s.Define(conf.Key{Name: "name", When: conf.Always, Arg: "NAME", Help: "of the route, in records; default its number"}, conf.String(&r.Name))
	for _, c := range routeConditions {
		s.Define(conf.Key{Name: c.key, List: true, When: c.when, Arg: c.arg, Help: c.help, Empty: c.empty}, conf.Func(func(vals []conf.Value) error { return r.add(c.make, vals) }))
	}
	s.Define(conf.Key{Name: "passthrough", When: factStream, Help: "do not decrypt: the clients' bytes go on as they came, hello included. On a TLS port such a route is chosen by sni, alpn and from alone"}, conf.Bool(&r.PassThrough))
	r.defineInRoute(s)
	s.Define(conf.Key{Name: keyRefuse, When: conf.Always, Help: "serve nobody"}, conf.Bool(&r.Refuse))
}

// A routeCondition is a key of a route that its clients are known by. All
// conditions of a route must hold, and of each any value.
type routeCondition struct {
	key, arg string
	when     conf.When
	empty    conf.Empty
	make     func(...string) (route.Condition, error)
	help     string
}

var routeConditions = [...]routeCondition{
	{"sni", "NAME", factStream, conf.EmptyIsText, route.SNI, "the name that a TLS client asks for: a name, *.NAME for one label, or /EXPRESSION/; empty for clients that ask for none"},
	{"alpn", "PROTOCOL", factStream, 0, route.ALPN, "the protocol that was agreed on with a TLS client, or that it offers where it is not decrypted; without SSL_alpn_protocols clients are offered what such routes name"},
	{"from", "NETWORK", conf.Always, 0, fromTexts, "networks that the client comes from: ADDRESS or ADDRESS/BITS"},
	{"cert_cn", "NAME", factTLS, 0, route.CertCN, "the common name of the client's certificate: a name or /EXPRESSION/"},
	{"cert_dns", "NAME", factTLS, 0, route.CertDNS, "a DNS name of the client's certificate: a name, *.NAME or /EXPRESSION/"},
	{"cert_uri", "URI", factTLS, 0, route.CertURI, "a URI of the client's certificate: a URI or /EXPRESSION/"},
	{"cert_fingerprint", "HEX", factTLS, 0, route.CertFingerprint, "the SHA-256 fingerprint of the client's certificate"},
	{"begins", "WHAT", factStream, 0, route.Begins, "what the client sends first: tls, http, ssh, postgres, proxy, silence=SECONDSs for nothing within that time, /EXPRESSION/ for its first line, or else a text as it is"},
}

// routeLists returns the keys of a route that want a value.
func routeLists() []string {
	keys := []string{keyProgram, KeyProxyTo, keyApp}
	for _, c := range routeConditions {
		keys = append(keys, c.key)
	}
	return keys
}

// fromTexts makes a condition of networks as keys write them.
func fromTexts(texts ...string) (route.Condition, error) {
	var nets []netip.Prefix
	for _, t := range texts {
		p, err := access.ParseExactNetwork(t)
		if err != nil {
			return nil, fmt.Errorf("from: %w", err)
		}
		nets = append(nets, p)
	}
	return route.From(nets...)
}

// add adds a condition.
func (r *routeConfig) add(make func(...string) (route.Condition, error), vals []conf.Value) error {
	if len(vals) == 0 {
		return nil
	}
	texts := textsOf(vals)
	c, err := make(texts...)
	if err != nil {
		// The key is named with the place already.
		_, text, _ := strings.Cut(err.Error(), ": ")
		return vals[0].Errorf("%s", text)
	}
	r.When = append(r.When, c)
	return nil
}

// A routed is a route with what serves its clients.
type routed struct {
	routeConfig
	to *Service
}

// route reads the routes of a port that has the settings of h.
func (h *Config) route(b conf.Block) (*Service, error) {
	s := &Service{Config: *h, kind: routes, own: true, at: b.Origin}
	var errs []error
	for _, block := range b.Tables[TableRoute] {
		r := routeConfig{Config: *h, at: block.Origin}
		if err := cmp.Or(block.Read(r.define), emptyList(block, routeLists()...)); err != nil {
			errs = append(errs, err)
			continue
		}
		to, err := r.choose(block.Values)
		if to != nil && r.PassThrough {
			to.Web.HTTP = false // what is not decrypted is not HTTP yet
		}
		if to == nil && isTrue(block.Values[KeyHTTP]) {
			to = &Service{Config: r.Config, own: true, at: r.at}
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case to == nil:
			errs = append(errs, &conf.Problem{Origin: r.at, Err: errors.New("the [[listen.route]] says of nobody who serves"),
				Hint: "give it proxy_to, backend, program, app, echo, http, http_redirect or refuse"})
		case len(block.Values[KeyProxyTo]) > 1:
			errs = append(errs, &conf.Problem{Key: KeyProxyTo, Origin: to.at, Err: errors.New("a route has one target"), Hint: SeveralTargets})
		default:
			errs = append(errs, besideBackend(to, block.Values))
			s.routes = append(s.routes, &routed{r, to})
		}
	}
	return s, errors.Join(errs...)
}

// wireOf returns what clients of a port speak, for routes.
func wireOf(p port.Spec) route.Wire {
	switch p.Kind() {
	case port.TCP:
		return route.WireTCP
	case port.Unix:
		return route.WireUnix
	case port.UnixSSL:
		return route.WireUnixTLS
	case port.UDP, port.UnixDgram:
		return route.WireUDP
	}
	return route.WireTLS
}

// routeHandler makes a handler of the handlers of routes.
func (m *maker) routeHandler(s *Service) (netserver.Handler, error) {
	h := new(route.Handler)
	var errs []error
	for i, r := range s.routes {
		to := route.Route{Name: cmp.Or(r.Name, r.at.Place(), strconv.Itoa(i+1)), When: r.When, PassThrough: r.PassThrough}
		if !r.to.is(refuses) {
			var err error
			to.Handler, err = m.handler(r.to)
			errs = append(errs, err)
		}
		h.Routes = append(h.Routes, to)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.warnings = append(m.warnings, h.Warnings(s.wire)...)
	return h, h.Check()
}

func textsOf(vals []conf.Value) []string {
	texts := make([]string, len(vals))
	for i, v := range vals {
		texts[i] = v.Text
	}
	return texts
}

// A Route is a [[listen.route]] of a port.
type Route struct {
	Origin  conf.Origin
	Service *Service
}

// Route returns what serves the clients of the i-th route of s; nil if there is
// none.
func (s *Service) Route(i int) *Service {
	if i < 0 || i >= len(s.routes) {
		return nil
	}
	return s.routes[i].to
}

// Routes returns the routes of s, in order.
func (s *Service) Routes() []Route {
	list := make([]Route, len(s.routes))
	for i, r := range s.routes {
		list[i] = Route{Origin: r.at, Service: r.to}
	}
	return list
}
