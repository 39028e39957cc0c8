package route

import (
	"fmt"
	"strings"
)

// Explain says which route a client of these facts takes, and why: the
// conditions that hold, or for each route the first that does not. It is for
// people. passed tells that the client is passed on undecrypted.
func (h *Handler) Explain(f Facts) (name, why string, passed bool) {
	h.once.Do(h.build)
	var reasons []string
	for i := range h.Routes {
		r := &h.Routes[i]
		failed := ""
		for _, c := range r.When {
			if v := c.holds(&f); v != Yes {
				failed = c.String()
				if v == More {
					failed += " (which depends on what the client sends)"
				}
				break
			}
		}
		if failed == "" {
			return h.name(i), r.String(), r.PassThrough
		}
		reasons = append(reasons, fmt.Sprintf("route %s: not %s", h.name(i), failed))
	}
	if h.Default != nil {
		return h.name(len(h.Routes)), "no other route fits", false
	}
	return "", strings.Join(reasons, "; "), false
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
