package conf

import "slices"

// A Result is the resolved configuration. It never changes and is safe for
// concurrent use.
type Result struct {
	Leftover       []Entry            // undefined keys, if Set.Unknown lets them pass
	Warnings       []error            // those of the layers, one per unknown key with WarnUnknown, and one per key of Net::Server given twice
	Blocks         []Block            // the [[listen]] blocks in effect, in order
	Tables         map[string][]Block // the other tables in effect, in order, by name: "backend"
	FileKeys       int                // number of keys and blocks in conf files, in effect or not
	NoFinalNewline bool               // the last line of a conf file has no newline

	keys      []Key            // those available, in the order of definition
	tableKeys map[string][]Key // the same of each table
	vals      map[string][]Value
	origin    map[string]Origin // of the keys in vals
	fixed     map[string]bool   // keys whose variable was not zero when they were defined
}

// Get returns the values of key, or its default; nil if it has neither. The
// caller must not change them.
func (r *Result) Get(key string) []Value { return r.vals[key] }

// Given returns a copy of the values that some source gave, without the
// defaults. LayerOf makes a layer of it, to give another process the same
// configuration.
func (r *Result) Given() Values {
	v := make(Values)
	for key, vals := range r.vals {
		if r.origin[key].Source != SourceDefault {
			v[key] = slices.Clone(vals)
		}
	}
	return v
}

// Options returns the configuration as --check prints it: for each key that
// was given or has a default, its text as written; a []string for a list; a
// map from name to either for named values. The values of secret keys are
// masked.
func (r *Result) Options() map[string]any {
	options := make(map[string]any)
	for _, k := range r.keys {
		if vals, ok := r.vals[k.Name]; ok {
			options[k.Name] = k.option(vals)
		}
	}
	return options
}

// Origins returns the origin, as from Origin.String, of each key that Options
// returns; for a list, that of the first value.
func (r *Result) Origins() map[string]string {
	origins := make(map[string]string)
	for key, o := range r.origin {
		origins[key] = o.String()
	}
	return origins
}

// BlockOptions returns what a block of the table called name gives, in the form
// of Options: "listen", "backend" or "listen.route". Defaults are left out, and
// so are port, host, proto and ipv of a [[listen]] block.
func (r *Result) BlockOptions(name string, b Block) map[string]any {
	keys := r.keys
	if name != listenKey {
		keys = r.tableKeys[name]
	}
	options := make(map[string]any)
	for _, k := range keys {
		vals, ok := b.Values[k.Name]
		if ok && !(name == listenKey && slices.Contains(placeKeys[:], k.Name)) {
			options[k.Name] = k.option(vals)
		}
	}
	return options
}

// option returns vals in the form that Options documents.
func (k Key) option(vals []Value) any {
	named := slices.ContainsFunc(vals, func(v Value) bool { return v.Name != "" })
	if !named {
		return k.plain(vals)
	}
	byName := make(map[string][]Value)
	for _, v := range vals {
		byName[v.Name] = append(byName[v.Name], v)
	}
	m := make(map[string]any)
	for name, vals := range byName {
		m[name] = k.plain(vals)
	}
	return m
}

// plain returns vals as a []string for a list, else as a string.
func (k Key) plain(vals []Value) any {
	list := make([]string, len(vals))
	for i, v := range vals {
		list[i] = v.Text
		switch {
		case k.Secret && v.Text != "":
			list[i] = masked
		case k.Show != nil:
			list[i] = k.Show(v.Text)
		}
	}
	switch {
	case k.List:
		return list
	case len(list) > 0:
		return list[len(list)-1]
	}
	return ""
}
