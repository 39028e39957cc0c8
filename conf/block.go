package conf

import (
	"errors"
	"slices"
)

// portKey is the key that names the ports; [[listen]] blocks are values of it.
const portKey = "port"

// placeKeys locate a port and are allowed in every [[listen]] block.
var placeKeys = [...]string{portKey, "host", "proto", "ipv"}

// errNotPerPort reports a server-wide key in a [[listen]] block.
var errNotPerPort = errors.New("it cannot be set per port")

// checkBlocks fills in the values of a layer's blocks and reports their
// problems. Keys in a block are always checked, however unknown keys are
// treated elsewhere: no other program reads these blocks.
func (r *resolver) checkBlocks(l Layer) []Block {
	blocks := make([]Block, 0, len(l.Blocks))
	for _, b := range l.Blocks {
		if r.problems.full() {
			break
		}
		if b.entries == nil {
			b.entries = entriesOf(l.Source, b.Values)
		}
		vals, err := r.set.blockValues(b)
		r.problems.add(err)
		blocks = append(blocks, Block{Origin: b.Origin, Values: vals, Tables: r.checkTables(l.Source, listenKey, b.Tables)})
	}
	return blocks
}

// blockValues turns the entries of a block into values.
func (s *Set) blockValues(b Block) (Values, error) {
	var problems Problems
	vals := make(Values)
	given := make(map[string]bool)
	for _, e := range b.entries {
		given[e.Key] = true
		d, err := s.blockKey(e)
		if err == nil {
			vals[e.Key], err = d.collapse([]Entry{e})
		}
		if err == nil {
			err = s.empties(d, Origin{}, vals[e.Key], false)
		}
		problems.add(err)
	}
	if !given[portKey] || len(vals[portKey]) == 0 && len(problems) == 0 {
		problems.add(&Problem{
			Origin: b.Origin,
			Err:    errors.New("the [[listen]] block has no port"),
			Hint:   `add port = "443/ssl", for example`,
		})
	}
	return vals, problems.err()
}

// blockKey returns the key of an entry in a block if it is allowed there.
func (s *Set) blockKey(e Entry) (*def, error) {
	d := s.index[e.Key]
	switch {
	case d != nil && d.Refuse != "":
		return nil, d.refused(e)
	case slices.Contains(placeKeys[:], e.Key):
		// A block may name several ports; package port pairs them with the
		// hosts.
		return &def{Key: Key{Name: e.Key, List: true}}, nil
	case d == nil:
		p := s.unknownKey(e)
		if place := s.elsewhere(listenKey, e.Key); place != "" {
			p.Hint = place
		} else if near := Nearest(e.Key, s.blockNames()); near != "" && s.Instead[fold(e.Key)] == "" {
			p.Hint = didYouMean(near)
		}
		return nil, p
	case !d.PerPort:
		return nil, &Problem{
			Key: d.Name, Origin: e.Origin, Err: errNotPerPort,
			Hint: "write it above the first [[listen]], where it applies to all ports",
		}
	}
	return d, nil
}

// blockNames returns the keys allowed in a block.
func (s *Set) blockNames() []string {
	names := slices.Clone(placeKeys[:])
	for _, d := range s.defs {
		if d.PerPort && d.Refuse == "" {
			names = append(names, d.Name)
		}
	}
	return names
}
