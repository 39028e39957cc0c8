package access

import (
	"cmp"
	"slices"
)

// patterns finds the first pattern of a list that matches. However long the
// list is, it tries only those whose beginning or end fits the text. The zero
// patterns matches nothing. It is immutable after newPatterns.
type patterns struct {
	list  []pattern
	exact map[string]int32
	heads []affixes // patterns that begin with a fixed text
	tails []affixes // the others that end with a fixed text
	rest  []int32   // all others
	names bool      // some may match a name
}

// affixes are the patterns with beginnings (or ends) of one length.
type affixes struct {
	size  int
	rules map[string][]int32
}

func newPatterns(list []pattern) patterns {
	p := patterns{list: list}
	for i := range list {
		rule := int32(i)
		one := &list[i]
		p.names = p.names || one.mayBeName()
		switch {
		case one.exact && one.re == nil:
			if p.exact == nil {
				p.exact = make(map[string]int32)
			}
			if _, ok := p.exact[one.head]; !ok {
				p.exact[one.head] = rule
			}
		case one.head != "":
			p.heads = addAffix(p.heads, one.head, rule)
		case one.tail != "":
			p.tails = addAffix(p.tails, one.tail, rule)
		default:
			p.rest = append(p.rest, rule)
		}
	}
	return p
}

func addAffix(all []affixes, s string, rule int32) []affixes {
	i, ok := slices.BinarySearchFunc(all, len(s), func(a affixes, size int) int { return cmp.Compare(a.size, size) })
	if !ok {
		all = slices.Insert(all, i, affixes{size: len(s), rules: make(map[string][]int32)})
	}
	all[i].rules[s] = append(all[i].rules[s], rule)
	return all
}

// find returns the first pattern that matches all of text, or -1. key is as
// for pattern.match.
func (p *patterns) find(key, text []byte) int32 {
	best := int32(-1)
	if i, ok := p.exact[string(key)]; ok {
		best = i
	}
	for _, a := range p.heads {
		if a.size > len(key) {
			break
		}
		best = p.first(best, a.rules[string(key[:a.size])], key, text)
	}
	for _, a := range p.tails {
		if a.size > len(key) {
			break
		}
		best = p.first(best, a.rules[string(key[len(key)-a.size:])], key, text)
	}
	return p.first(best, p.rest, key, text)
}

// first returns the first of rules that matches, unless best comes before it.
func (p *patterns) first(best int32, rules []int32, key, text []byte) int32 {
	for _, i := range rules {
		if best >= 0 && i > best {
			break
		}
		if p.list[i].match(key, text) {
			return i
		}
	}
	return best
}
