package route

import (
	"fmt"
	"net/netip"
	"strings"

	"netserver/proto"
)

// HelloFacts are those of a TLS client that is not decrypted.
func HelloFacts(hello *proto.ClientHello, from netip.Addr) Facts {
	f := Facts{From: from}
	f.fromHello(hello)
	return f
}

// Explain says which route a client of these facts takes, and why: the
// conditions that hold, or for each route the first that does not. name is ""
// if there is no route. It is for people.
func (h *Handler) Explain(f Facts) (name, why string) {
	h.once.Do(h.build)
	var reasons, unless []string
	for i := range h.Routes {
		r := &h.Routes[i]
		if r.PassThrough && f.Decrypted {
			reasons = append(reasons, fmt.Sprintf("route %s: passes on undecrypted, not by this hello", h.name(i)))
			continue
		}
		switch failed, v := r.failing(&f); v {
		case Yes:
			why = r.String()
			if len(unless) > 0 {
				why += "; unless " + strings.Join(unless, ", or ")
			}
			return h.name(i), why
		case More:
			unless = append(unless, fmt.Sprintf("%s (route %s)", failed, h.name(i)))
			reasons = append(reasons, fmt.Sprintf("route %s: %s depends on what the client sends", h.name(i), failed))
		default:
			reasons = append(reasons, fmt.Sprintf("route %s: not %s", h.name(i), failed))
		}
	}
	if h.Default != nil {
		return h.name(len(h.Routes)), "no other route fits"
	}
	return "", strings.Join(reasons, "; ")
}

// failing returns the first condition that does not hold, or else the first of
// which that is not known.
func (r *Route) failing(f *Facts) (failed string, v verdict) {
	v = Yes
	for _, c := range r.When {
		switch c.holds(f) {
		case No:
			return c.String(), No
		case More:
			if v == Yes {
				failed, v = c.String(), More
			}
		}
	}
	return failed, v
}

// String returns the conditions of a route.
func (r *Route) String() string {
	if len(r.When) == 0 {
		return "it takes everybody"
	}
	texts := make([]string, len(r.When))
	for i, c := range r.When {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}
