package clustering

import (
	"cmp"
	"slices"

	"netserver/cluster"
	"netserver/handler/proxy"
)

// UseTargets shares what the checks of backends find of their targets, and has
// them heed what other nodes find. It is called before anything else.
func (c *Clients) UseTargets(backends []*proxy.Backend) { c.backends = backends }

// Findings returns what this process's own checks have found, as far as there is
// room.
func (c *Clients) Findings() (list cluster.Findings) {
	var a Agreed
	for _, b := range c.backends {
		for _, f := range b.Findings() {
			a.Add(cluster.Findings{{ID: f.ID, Down: f.Down}})
		}
	}
	return a.Findings()
}

// heed has the backends heed what other nodes have found.
func (c *Clients) heed(list []cluster.Opinion) {
	if len(c.backends) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Equal(list, c.heeded) {
		return
	}
	c.heeded = list
	told := make([]proxy.Opinion, len(list))
	for i, o := range list {
		told[i] = proxy.Opinion{ID: o.ID, Down: o.Down, Of: o.Of}
	}
	for _, b := range c.backends {
		b.Heed(told)
	}
}

// Agreed is what several that check targets have found together: one is down if
// all who check it say so. The zero Agreed is of none.
type Agreed struct{ up map[uint64]bool }

// Add adds what one of them has found.
func (a *Agreed) Add(list cluster.Findings) {
	if a.up == nil && len(list) > 0 {
		a.up = make(map[uint64]bool)
	}
	for _, f := range list {
		a.up[f.ID] = a.up[f.ID] || !f.Down
	}
}

// Findings returns it in the order of ID, as much as there is room for.
func (a *Agreed) Findings() (list cluster.Findings) {
	for id, up := range a.up {
		list = append(list, cluster.Finding{ID: id, Down: !up})
	}
	slices.SortFunc(list, func(x, y cluster.Finding) int { return cmp.Compare(x.ID, y.ID) })
	return list[:min(len(list), cluster.MaxTargets)]
}
