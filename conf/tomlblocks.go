package conf

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A tomlScope is the top level or one block.
type tomlScope struct {
	name    string // of the table: "listen"; "" at the top level
	origin  Origin
	entries []*tomlEntry
	byKey   map[string]*tomlEntry
	blocks  map[string][]*tomlScope // the blocks in it, by the last part of their name
}

func newScope(name string, at Origin) *tomlScope {
	return &tomlScope{name: name, origin: at, byKey: make(map[string]*tomlEntry), blocks: make(map[string][]*tomlScope)}
}

// add returns the entry for key, creating it if necessary.
func (s *tomlScope) add(key string, at Origin) (e *tomlEntry, isNew bool) {
	if e := s.byKey[key]; e != nil {
		return e, false
	}
	e = &tomlEntry{Entry: Entry{Key: key, Origin: at}, names: make(map[string]bool)}
	s.byKey[key] = e
	s.entries = append(s.entries, e)
	return e, true
}

func (s *tomlScope) list() []Entry {
	entries := make([]Entry, len(s.entries))
	for i, e := range s.entries {
		entries[i] = e.Entry
	}
	return entries
}

// tables returns the blocks in the scope.
func (s *tomlScope) tables() map[string][]Block {
	if len(s.blocks) == 0 {
		return nil
	}
	tables := make(map[string][]Block)
	for name, blocks := range s.blocks {
		for _, b := range blocks {
			tables[name] = append(tables[name], Block{Origin: b.origin, entries: b.list(), Tables: b.tables()})
		}
	}
	return tables
}

// scopeOf returns the scope that a header's path leads to and the rest of the
// path, which is never empty: [listen.SSL_cert_file] belongs to the [[listen]]
// above it.
func (r *tomlReader) scopeOf(path []string) (*tomlScope, []string) {
	scope := r.top
	for len(path) > 1 {
		blocks := scope.blocks[path[0]]
		if len(blocks) == 0 {
			break
		}
		scope, path = blocks[len(blocks)-1], path[1:]
	}
	return scope, path
}

// isBlock reports whether a name in the current scope is that of a table.
func (r *tomlReader) isBlock(name string) bool { return r.set.isTable(within(r.scope.name, name)) }

// newBlock adds a block to a scope.
func (r *tomlReader) newBlock(scope *tomlScope, name string, at Origin) *tomlScope {
	b := newScope(within(scope.name, name), at)
	scope.blocks[name] = append(scope.blocks[name], b)
	return b
}

// inlineBlocks reads blocks written as listen = [{port = ...}, ...] and
// reports whether node has that form.
func (r *tomlReader) inlineBlocks(scope *tomlScope, name string, node *unstable.Node) bool {
	if node.Kind != unstable.Array || node.Child() == nil {
		return false
	}
	for it := node.Children(); it.Next(); {
		if it.Node().Kind != unstable.InlineTable {
			return false
		}
	}
	for it := node.Children(); it.Next(); {
		block := r.newBlock(scope, name, r.at(it.Node().Raw))
		for kv := it.Node().Children(); kv.Next(); {
			r.keyValue(block, kv.Node())
		}
	}
	return true
}

// checkBoth refuses a name that is used both as a key and for blocks.
func (r *tomlReader) checkBoth(scope *tomlScope) {
	for _, name := range slices.Sorted(maps.Keys(scope.blocks)) {
		blocks := scope.blocks[name]
		for _, b := range blocks {
			r.checkBoth(b)
		}
		e := scope.byKey[name]
		if e == nil || e.fault != nil {
			continue
		}
		full, hint := blocks[0].name, "in a file with such blocks, set it in the [[listen]] blocks"
		if full == listenKey {
			hint = "in a file with blocks, set it in each of them"
		}
		r.problem(name, e.Origin, fmt.Errorf("it is given both as a value and as [[%s]] blocks (line %d); %s", full, blocks[0].origin.Line, hint))
	}
}
