package daemon

import (
	"errors"

	"netserver"
	"netserver/conf"
)

// tableRoute is the name of the tables in a [[listen]] block that routes are
// written as.
const tableRoute = "route"

// keyRefuse is the key of a route that serves nobody.
const keyRefuse = "refuse"

// A routeConfig is one [[listen.route]]: conditions, and what serves the
// clients that fulfil them. What it does not say itself its port says, or the
// whole server; but a handler it has always of its own.
type routeConfig struct {
	HandlerConfig
	Refuse bool

	at conf.Origin
}

// define defines the keys of a [[listen.route]].
func (r *routeConfig) define(s *conf.Set) {
	r.defineInRoute(s)
	s.Define(conf.Key{Name: keyRefuse, When: conf.Always, Help: "serve nobody"}, conf.Bool(&r.Refuse))
}

// A routed is a route with what serves its clients.
type routed struct {
	routeConfig
	to *service
}

// route reads the routes of a port that has the settings of h.
func (h *HandlerConfig) route(b conf.Block) (*service, error) {
	s := &service{HandlerConfig: *h, kind: routes, own: true, at: b.Origin}
	var errs []error
	for _, block := range b.Tables[tableRoute] {
		r := routeConfig{HandlerConfig: *h, at: block.Origin}
		if err := block.Read(r.define); err != nil {
			errs = append(errs, err)
			continue
		}
		to, err := r.choose(block.Values)
		switch {
		case err != nil:
			errs = append(errs, err)
		case to == nil:
			errs = append(errs, &conf.Problem{Origin: r.at, Err: errors.New("the [[listen.route]] says of nobody who serves"),
				Hint: "give it proxy_to, backend, program, echo or refuse"})
		case len(block.Values[keyProxyTo]) > 1:
			errs = append(errs, &conf.Problem{Key: keyProxyTo, Origin: to.at, Err: errors.New("a route has one target"), Hint: severalTargets})
		default:
			to.route = r.at
			s.routes = append(s.routes, &routed{r, to})
		}
	}
	return s, errors.Join(errs...)
}

// routeHandler makes a handler of the handlers of routes.
func (m *handlers) routeHandler(s *service) (netserver.Handler, error) {
	return nil, errors.New("routes are not built yet")
}
