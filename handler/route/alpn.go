package route

import (
	"slices"

	"netserver"
	"netserver/proto"
)

// NextProtos returns what the Handler speaks that would serve a client with that
// hello, so that its port offers it by ALPN. Where a route before it may be the
// client's, by its address, its certificate or what it sends, it returns what
// all those Handlers speak. What a route by ALPN chooses by is offered too if
// the client names it and nothing else is asked of it that its hello leaves open:
// one that names other protocols is not refused for that.
func (h *Handler) NextProtos(hello *proto.ClientHello) []string {
	h.once.Do(h.build)
	var f Facts
	f.fromHello(hello)
	var common, chosenBy []string
	some := false
	for i := range h.index.candidates(f.ServerName) {
		r := &h.Routes[i]
		verdict, by := r.byHello(&f)
		switch {
		case r.PassThrough || verdict == No:
			continue
		case len(by) > 0 && verdict == Yes:
			chosenBy = append(chosenBy, by...)
			continue
		case len(by) > 0:
			continue
		}
		common = meet(common, spokenBy(r.Handler, hello), some)
		if verdict == Yes {
			return join(common, chosenBy)
		}
		some = true
	}
	return join(meet(common, spokenBy(h.Default, hello), some), chosenBy)
}

// byHello says whether the conditions of r hold that a hello decides, but for
// that on ALPN, whose protocols it returns.
func (r *Route) byHello(f *Facts) (all verdict, alpn []string) {
	all = Yes
	for _, c := range r.When {
		switch k := c.kind(); {
		case k == kindALPN:
			for _, name := range c.(*names).texts {
				if slices.Contains(f.ALPN, name) {
					alpn = append(alpn, name)
				}
			}
			if len(alpn) == 0 {
				return No, nil
			}
		case k == kindFrom:
			all = More // behind a PROXY header the address is not known here
		default:
			switch c.holds(f) {
			case No:
				return No, nil
			case More:
				all = More
			}
		}
	}
	return all, alpn
}

// join returns what is in one of the lists.
func join(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	return append(slices.Clip(a), slices.DeleteFunc(b, func(p string) bool { return slices.Contains(a, p) })...)
}

func spokenBy(next netserver.Handler, hello *proto.ClientHello) []string {
	if n, ok := netserver.HandlerAs[proto.Negotiator](next); ok {
		return n.NextProtos(hello)
	}
	return nil
}

// meet returns what is in both lists, or in b alone if there is no a.
func meet(a, b []string, both bool) []string {
	if !both {
		return b
	}
	return slices.DeleteFunc(slices.Clone(a), func(p string) bool { return !slices.Contains(b, p) })
}
