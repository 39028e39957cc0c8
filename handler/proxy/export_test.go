package proxy

import "testing"

// Waiting is how many clients wait for a place.
func Waiting(b *Backend) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// Found has a check of the target at an address end with err.
func Found(b *Backend, address string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ep := range b.order {
		if ep.shortName() == address {
			b.checked(ep, err)
		}
	}
}

// Failed has a client find out that the target at an address fails.
func Failed(b *Backend, address string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ep := range b.order {
		if ep.shortName() == address {
			b.failing(ep, err.Error())
		}
	}
}

// Choose returns the address of the target that a client would get.
func Choose(b *Backend) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ep, _ := b.choose(request{})
	if ep == nil {
		return ""
	}
	return ep.shortName()
}

// HostName is what targets are told of a name that a client has asked for.
func HostName(name string) string { return hostName(name) }

// QuietLook is how often pairs are looked at that may wait with no goroutine.
const QuietLook = quietLook

// OnMachines returns the ID of a target here and on another machine; known
// reports whether this machine is.
func OnMachines(t testing.TB, address string) (here, there uint64, known bool) {
	where, err := parseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	b := &Backend{Name: "b", Check: Check{Kind: CheckTCP}}
	b.others.machine = thisMachine()
	s := &source{Target: Target{Address: address}}
	here = b.sharedID(s, where)
	b.others.machine = machine{"another", "another"}
	return here, b.sharedID(s, where), thisMachine() != machine{}
}
