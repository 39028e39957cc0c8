package admit

import "testing"

func TestTop(t *testing.T) {
	l, _ := newTestLimiter(Limits{})
	for i := range 200 {
		a := addr4(10, 0, i, 1)
		for range i + 1 {
			l.Enter(a)
		}
	}
	l.Enter(addr4(10, 0, 199, 2))
	sources, networks := l.Top(3)
	if len(sources) != 3 || sources[0].Prefix.String() != "10.0.199.1/32" || sources[0].Conns != 200 || sources[2].Conns != 198 {
		t.Errorf("sources %v", sources)
	}
	if len(networks) != 3 || networks[0].Prefix.String() != "10.0.199.0/24" || networks[0].Conns != 201 {
		t.Errorf("networks %v", networks)
	}
	if s, n := l.Top(0); s != nil || n != nil {
		t.Error("none were asked for")
	}
}
