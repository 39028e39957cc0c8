package route

import (
	"strings"
	"time"
)

// An index finds the routes that may be for a name: with ten thousand names
// looking at every route would cost more than the rest of accepting a client.
type index struct {
	exact map[string][]int // routes with that name
	wild  map[string][]int // routes with a wildcard, by what follows its first label
	rest  []int            // routes that can be for any name, with the default if there is one
	looks bool             // a route looks at first bytes
	// silence is the longest that a route wants.
	silence time.Duration
	names   bool // a route looks at SNI or ALPN
}

func (h *Handler) build() {
	x := &index{exact: make(map[string][]int), wild: make(map[string][]int)}
	for i := range h.Routes {
		var by *names
		for _, c := range h.Routes[i].When {
			switch c.kind() {
			case kindSNI:
				x.names = true
				if n := c.(*names); len(n.exprs) == 0 {
					by = n
				}
			case kindALPN:
				x.names = true
			case kindBegins:
				x.looks = true
				for _, m := range c.(*begins).forms {
					x.silence = max(x.silence, m.silence)
				}
			}
		}
		if by == nil {
			x.rest = append(x.rest, i)
			continue
		}
		for name := range by.exact {
			x.exact[name] = append(x.exact[name], i)
		}
		for name := range by.wild {
			x.wild[name] = append(x.wild[name], i)
		}
	}
	h.index = x
}

// candidates yields the routes that may be for a name, in order.
func (x *index) candidates(name string) func(func(int) bool) {
	exact := x.exact[name]
	var wild []int
	if i := strings.IndexByte(name, '.'); i > 0 && len(x.wild) > 0 {
		wild = x.wild[name[i:]]
	}
	rest := x.rest
	return func(yield func(int) bool) {
		for last := -1; ; {
			next := -1
			for _, list := range []*[]int{&exact, &wild, &rest} {
				for len(*list) > 0 && (*list)[0] <= last {
					*list = (*list)[1:]
				}
				if len(*list) > 0 && (next < 0 || (*list)[0] < next) {
					next = (*list)[0]
				}
			}
			if next < 0 || !yield(next) {
				return
			}
			last = next
		}
	}
}
