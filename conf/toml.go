package conf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ReadTOML reads a TOML conf file: keys at the top level, arrays for lists,
// tables for keys with named entries, one [[listen]] block per port, and the
// tables that the Set defines.
// Numbers and booleans keep their text as written. file is the name for
// messages.
func (s *Set) ReadTOML(file string, data []byte) Layer {
	data = withoutBOM(data)
	r := tomlReader{
		set:   s,
		layer: Layer{Source: SourceFile},
		file:  file,
		data:  data,
	}
	r.top = newScope("", Origin{})
	r.scope = r.top
	r.parser.Reset(data)
	for r.parser.NextExpression() {
		r.expression(r.parser.Expression())
	}
	r.layer.Entries = r.top.list()
	r.layer.Tables = r.top.tables()
	r.layer.Blocks = r.layer.Tables[listenKey]
	delete(r.layer.Tables, listenKey)
	r.checkBoth(r.top)
	r.syntax()
	return r.layer
}

// listenKey is both the key of the backlog and the name of the blocks.
const listenKey = "listen"

var errNested = errors.New("tables cannot be nested")

// A tomlReader turns TOML expressions into entries.
type tomlReader struct {
	set    *Set // whose tables are known
	layer  Layer
	file   string
	data   []byte
	parser unstable.Parser
	lines  []int // offset of each line's end, computed on first use

	top   *tomlScope // the top level
	scope *tomlScope // the current header's scope: top or a block
	table *tomlEntry // the key whose table the header opened, or nil
	dead  bool       // the header was wrong: skip what follows it
}

// A tomlEntry is an Entry with the state for finding duplicates.
type tomlEntry struct {
	Entry
	table bool            // it holds named values
	open  bool            // a table that further lines may add to
	names map[string]bool // of a table
}

// expression handles one line or header of the file.
func (r *tomlReader) expression(node *unstable.Node) {
	switch {
	case node.Kind != unstable.KeyValue:
		r.header(node)
	case r.dead:
	case r.table != nil:
		path, at := r.path(node)
		r.named(r.table, path, at, node.Value())
	default:
		r.keyValue(r.scope, node)
	}
}

// header handles a [table] or [[block]].
func (r *tomlReader) header(node *unstable.Node) {
	path, at := r.path(node)
	r.table, r.dead = nil, false
	if r.scope, path = r.scopeOf(path); len(path) == 1 && node.Kind == unstable.ArrayTable && r.isBlock(path[0]) {
		r.scope = r.newBlock(r.scope, path[0], at)
		return
	}
	e, isNew := r.scope.add(path[0], at)
	var fault error
	switch {
	case len(path) > 1 && r.isBlock(path[0]) && r.set.isTable(within(path[0], path[1])):
		fault = fmt.Errorf("[[%s.%s]] belongs below the [[%s]] that it is for, and there is none above it", path[0], path[1], path[0])
	case len(path) > 1:
		fault = errNested
	case node.Kind == unstable.ArrayTable:
		fault = fmt.Errorf("only %s can be repeated as a table", r.set.tableWords())
	case r.isBlock(path[0]):
		fault = errNoTable(within(r.scope.name, path[0]))
	case isNew:
		e.table = true
		r.table = e
		return
	}
	r.dead = true
	switch {
	case fault != nil:
		e.fault = &Problem{Origin: at, Err: fault}
	case e.fault == nil:
		r.twice(e, at)
	}
}

// keyValue adds a key's value, in any of its forms, to a scope.
func (r *tomlReader) keyValue(scope *tomlScope, node *unstable.Node) {
	path, at := r.path(node)
	switch {
	case scope == r.top && path[0] == confFile:
		r.problem(confFile, at, errNotFollowed)
		return
	case len(path) == 1 && r.set.isTable(within(scope.name, path[0])) && r.inlineBlocks(scope, path[0], node.Value()):
		return
	}
	e, isNew := scope.add(path[0], at)
	value := node.Value()
	switch {
	case len(path) > 1 && (isNew || e.open):
		e.table, e.open = true, true
		r.named(e, path[1:], at, value)
	case !isNew:
		r.twice(e, at)
	case value.Kind == unstable.InlineTable:
		e.table = true
		for it := value.Children(); it.Next(); {
			path, at := r.path(it.Node())
			r.named(e, path, at, it.Node().Value())
		}
	default:
		e.Values, e.fault = r.texts("", at, value)
	}
}

// named adds a named value to a key's table.
func (r *tomlReader) named(e *tomlEntry, path []string, at Origin, value *unstable.Node) {
	switch {
	case len(path) > 1 || value.Kind == unstable.InlineTable:
		e.fault = &Problem{Origin: at, Err: errNested}
	case e.names[path[0]]:
		r.problem(quoteName(e.Key), at, fmt.Errorf("%s is given twice in the table", quoteName(path[0])))
	default:
		e.names[path[0]] = true
		vals, fault := r.texts(path[0], at, value)
		e.Values = append(e.Values, vals...)
		if fault != nil {
			e.fault = fault
		}
	}
}

// texts returns the values of a scalar or of an array of scalars.
func (r *tomlReader) texts(name string, at Origin, node *unstable.Node) ([]Value, *Problem) {
	if node.Kind != unstable.Array {
		text, err := scalar(node)
		if err != nil {
			return nil, &Problem{Origin: at, Err: err}
		}
		return []Value{{Name: name, Text: text, Origin: at}}, nil
	}
	var vals []Value
	var fault *Problem
	for it := node.Children(); it.Next(); {
		if raw := it.Node().Raw; raw.Length > 0 { // arrays in arrays have none
			at = r.at(raw)
		}
		text, err := scalar(it.Node())
		if err != nil {
			fault = &Problem{Origin: at, Err: err}
			continue
		}
		vals = append(vals, Value{Name: name, Text: text, Origin: at})
	}
	return vals, fault
}

// scalar returns the text of a value: a string's content, a number or boolean
// as written.
func scalar(node *unstable.Node) (string, error) {
	switch node.Kind {
	case unstable.String:
		if bytes.IndexByte(node.Data, 0) >= 0 {
			return "", errors.New("a value cannot hold a NUL character")
		}
		return string(node.Data), nil
	case unstable.Bool, unstable.Integer, unstable.Float:
		return string(node.Data), nil
	case unstable.Array:
		return "", errors.New("arrays cannot be nested")
	case unstable.InlineTable:
		return "", errors.New("an array cannot contain a table")
	}
	return "", errors.New("dates and times are not supported; write the value in quotes if it is meant as text")
}

// syntax reports a syntax error, at which the parser stops. Errors in what it
// read before are reported by the other methods.
func (r *tomlReader) syntax() {
	err := r.parser.Error()
	if err == nil {
		if len(r.layer.Problems) == 0 {
			r.decode()
		}
		return
	}
	at := Origin{Source: SourceFile, File: r.file}
	if pe, ok := errors.AsType[*unstable.ParserError](err); ok {
		// The highlight is a subslice of the data with the same end.
		if offset := cap(r.data) - cap(pe.Highlight); offset >= 0 && offset < len(r.data) {
			at.Line = r.line(offset)
		}
	}
	r.problem("", at, notTOML(err))
}

// notTOML formats an error of the parser or the decoder.
func notTOML(err error) error {
	return fmt.Errorf("this is not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
}

// decode runs the full decoder over the file: it checks rules that the parser
// does not, such as the range of a number.
func (r *tomlReader) decode() {
	var all map[string]any
	err := toml.Unmarshal(r.data, &all)
	if err == nil {
		return
	}
	at := Origin{Source: SourceFile, File: r.file}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		at.Line, _ = de.Position()
	}
	r.problem("", at, notTOML(err))
}

func (r *tomlReader) problem(key string, at Origin, err error) {
	r.layer.Problems.add(&Problem{Key: key, Origin: at, Err: err})
}

// twice reports a duplicate key.
func (r *tomlReader) twice(e *tomlEntry, at Origin) {
	r.problem(quoteName(e.Key), at, fmt.Errorf("it is given twice, first on line %d", e.Origin.Line))
}

// path returns the parts of an expression's key, and its origin.
func (r *tomlReader) path(node *unstable.Node) ([]string, Origin) {
	var parts []string
	var at Origin
	for it := node.Key(); it.Next(); {
		if parts == nil {
			at = r.at(it.Node().Raw)
		}
		parts = append(parts, string(it.Node().Data))
	}
	return parts, at
}

func (r *tomlReader) at(raw unstable.Range) Origin {
	return Origin{Source: SourceFile, File: r.file, Line: r.line(int(raw.Offset))}
}

// line returns the number of the line with the byte at offset. The parser can
// do this too, but counts from the beginning of the file each time.
func (r *tomlReader) line(offset int) int {
	if r.lines == nil {
		r.lines = []int{}
		for i, c := range r.data {
			if c == '\n' {
				r.lines = append(r.lines, i)
			}
		}
	}
	i, _ := slices.BinarySearch(r.lines, offset)
	return i + 1
}
