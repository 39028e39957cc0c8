package route

import (
	"slices"

	"netserver"
	"netserver/proto"
)

// NextProtos returns what the Handler speaks that would serve a client with that
// hello, so that its port offers it by ALPN. Where a route before it may be the
// client's, by its address, its certificate or what it sends, it returns what
// all those Handlers speak. Routes by ALPN are not looked at: what they choose
// by has to be in SSL_alpn_protocols.
func (h *Handler) NextProtos(hello *proto.ClientHello) []string {
	h.once.Do(h.build)
	var f Facts
	f.fromHello(hello)
	var common []string
	some := false
	for i := range h.index.candidates(f.ServerName) {
		r := &h.Routes[i]
		verdict := r.byHello(&f)
		if r.PassThrough || verdict == No {
			continue
		}
		common = meet(common, spokenBy(r.Handler, hello), some)
		if verdict == Yes {
			return common
		}
		some = true
	}
	return meet(common, spokenBy(h.Default, hello), some)
}

// byHello says whether the conditions of r hold that a hello decides.
func (r *Route) byHello(f *Facts) verdict {
	all := Yes
	for _, c := range r.When {
		switch k := c.kind(); {
		case k == kindALPN:
			return No
		case k == kindFrom:
			all = More // behind a PROXY header the address is not known here
		default:
			switch c.holds(f) {
			case No:
				return No
			case More:
				all = More
			}
		}
	}
	return all
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
