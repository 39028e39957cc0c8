package route

import (
	"errors"
	"net/netip"
	"slices"
)

// from holds for clients of some networks.
type from []netip.Prefix

// From holds for clients whose address, as rules and limits go by it, is in one
// of these networks. Clients of UNIX sockets have none.
func From(nets ...netip.Prefix) (Condition, error) {
	if len(nets) == 0 {
		return nil, errors.New("from: it has no value")
	}
	for _, n := range nets {
		if !n.IsValid() {
			return nil, errors.New("from: a network is not valid")
		}
	}
	list := slices.Clone(nets)
	for i := range list {
		list[i] = list[i].Masked()
	}
	return from(list), nil
}

func (n from) String() string {
	texts := make([]string, len(n))
	for i, p := range n {
		texts[i] = p.String()
	}
	return written(kindFrom, texts)
}

func (n from) kind() kind { return kindFrom }

func (n from) holds(f *Facts) verdict {
	a := f.From.Unmap().WithZone("")
	if slices.ContainsFunc(n, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return Yes
	}
	return No
}
