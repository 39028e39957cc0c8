package route

// Chosen returns the name of the route of a client about whom nothing more will
// be known; "" for none.
func Chosen(h *Handler, f Facts) string {
	h.once.Do(h.build)
	l := look{h: h, facts: f}
	at := l.settled()
	if at < 0 {
		return ""
	}
	return h.name(at)
}
