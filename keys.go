package netserver

import (
	"errors"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/tlsparams"
)

// Define names the fields of c as keys of s, so that command line, environment
// and files can set them. c must be kept until s has been resolved. Ports are
// not among them: they come from several keys together, and package port reads
// those.
func (c *Config) Define(s *conf.Set) {
	for i := range settings {
		settings[i].define(c, s)
	}
}

// define adds the row's key, bound to its field of c.
func (t *setting) define(c *Config, s *conf.Set) {
	switch {
	case t.table != nil:
		t.table(c, s)
	case t.key != "":
		s.Define(conf.Key{
			Name: t.key, Group: t.group, Arg: t.arg, Default: t.defaultText(), Help: t.help, When: t.when,
			List: t.list, PerPort: t.port || t.beside, NetServer: t.theirs,
		}, t.binder(c))
	}
}

// value returns the row's field of c.
func (t *setting) value(c *Config) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(t.field, ".") {
		v = v.FieldByName(name)
	}
	return v
}

// defaultText returns a constant default as it would be written.
func (t *setting) defaultText() string {
	switch {
	case t.words != nil:
		return t.words[0]
	case t.def == nil:
		return ""
	}
	var c Config
	v := t.value(&c)
	v.Set(reflect.ValueOf(t.def).Convert(v.Type()))
	return strings.Join(t.binder(&c).Texts(), "\n")
}

// binder binds the row's key to its field of c.
func (t *setting) binder(c *Config) conf.Binder {
	if t.bind != nil {
		return t.bind(c)
	}
	v := t.value(c)
	if t.words != nil {
		return wordBinder{v, t.words}
	}
	switch p := v.Addr().Interface().(type) {
	case *bool:
		return conf.Bool(p)
	case *string:
		return conf.String(p)
	case *int:
		return t.number(conf.Int(p, bound(t.least, -1), bound(t.most, math.MaxInt32)))
	case *int64:
		return t.number(conf.Size(p, bound[int64](t.least, -1), bound[int64](t.most, math.MaxInt64)))
	case *time.Duration:
		b := t.number(conf.Seconds(p, bound(t.least, -1*time.Second), bound(t.most, maxDuration)))
		if t.zero == zeroIsNone {
			b = zeroBinder{b, p}
		}
		return b
	}
	panic("netserver: the key " + t.key + " has no binder") // TestSettings defines them all
}

func (t *setting) number(b conf.Binder) conf.Binder {
	if t.zero == zeroIsRefused {
		return notZero{b}
	}
	return b
}

// bound returns a row's bound, or def where it has none.
func bound[T int | int64 | time.Duration](row any, def T) T {
	if row == nil {
		return def
	}
	return T(reflect.ValueOf(row).Int())
}

// notZero binds a limit that has a default: 0 would be that, and neither no
// limit nor none let in, which are what somebody may mean by it.
type notZero struct{ conf.Binder }

// Set stores the limit.
func (n notZero) Set(vals []conf.Value) error {
	for _, v := range vals {
		if strings.Trim(v.Text, "0") == "" && v.Text != "" {
			p := v.Errorf("%q would be the default", v.Text)
			p.Hint = "write none for no limit, a number from 1, or leave it out"
			return p
		}
	}
	return n.Binder.Set(vals)
}

// zeroBinder binds a time for which 0 means none when it is written.
type zeroBinder struct {
	conf.Binder
	p *time.Duration
}

// Set stores the time.
func (z zeroBinder) Set(vals []conf.Value) error {
	if err := z.Binder.Set(vals); err != nil {
		return err
	}
	if len(vals) > 0 && *z.p == 0 {
		*z.p = -1
	}
	return nil
}

// wordBinder binds the words of an enumeration, or two words that stand for
// false and true.
type wordBinder struct {
	v     reflect.Value
	words []string
}

// Set stores the value that the word stands for.
func (w wordBinder) Set(vals []conf.Value) error {
	word := w.words[0]
	if len(vals) > 0 && w.words[0] == "0" { // of which the second is "1": TOML has words for them
		switch last := vals[len(vals)-1]; last.Text {
		case "false":
			vals = []conf.Value{{Text: "0", Origin: last.Origin}}
		case "true":
			vals = []conf.Value{{Text: "1", Origin: last.Origin}}
		}
	}
	if len(vals) > 0 {
		if err := conf.Choice(&word, w.words...).Set(vals); err != nil {
			return err
		}
	}
	i := slices.Index(w.words, word)
	if w.v.Kind() == reflect.Bool {
		w.v.SetBool(i == 1)
	} else {
		w.v.SetUint(uint64(i))
	}
	return nil
}

// Texts returns the word, but for the default.
func (w wordBinder) Texts() []string {
	var i uint64
	if w.v.CanUint() {
		i = w.v.Uint()
	} else if w.v.Bool() {
		i = 1
	}
	if i > 0 && i < uint64(len(w.words)) {
		return []string{w.words[i]}
	}
	return nil
}

// inverse binds a boolean key to a field that says the contrary, so that the
// zero field is the key's default, 1.
type inverse struct{ p *bool }

// Set stores the contrary of the last value.
func (i inverse) Set(vals []conf.Value) error {
	yes := !*i.p
	if err := conf.Bool(&yes).Set(vals); err != nil {
		return err
	}
	*i.p = !yes
	return nil
}

// Texts returns the value as it would be written.
func (i inverse) Texts() []string {
	yes := !*i.p
	return conf.Bool(&yes).Texts()
}

// IsBool says that the key's name alone means 1.
func (i inverse) IsBool() bool { return true }

// prefixes binds a list of addresses and networks, one or several a value.
type prefixes struct{ p *[]netip.Prefix }

// Set stores the networks.
func (b prefixes) Set(vals []conf.Value) error {
	*b.p = nil
	for _, v := range vals {
		for _, s := range conf.Words(v.Text) {
			p, err := access.ParseExactNetwork(s)
			if err != nil {
				return v.Errorf("%v", err)
			}
			*b.p = append(*b.p, p)
		}
	}
	return nil
}

// Texts returns the networks.
func (b prefixes) Texts() []string {
	var list []string
	for _, p := range *b.p {
		list = append(list, p.String())
	}
	return list
}

// defineAccess defines the keys of package access.
func (c *Config) defineAccess(s *conf.Set) {
	for _, k := range access.Keys() {
		s.Define(conf.Key{Name: k.Name, Group: groupAccess, Arg: k.Arg, Help: k.Help, List: k.List, PerPort: true, When: k.When, NetServer: k.NetServer},
			conf.Func(func(v []conf.Value) error { c.Access.Set(k.Name, v); return nil }))
	}
}

// defineTLS defines the keys of package tlsparams.
func (c *Config) defineTLS(s *conf.Set) {
	for _, k := range tlsparams.Keys() {
		s.Define(conf.Key{
			Name: k.Name, Group: groupTLS, Arg: k.Arg, Help: k.Help,
			List: k.List, Map: k.Map, Secret: k.Secret, PerPort: true, When: k.When, NetServer: k.NetServer,
		}, conf.Func(func(v []conf.Value) error { return c.setTLS(k.Name, v) }))
	}
	refused := tlsparams.Refused()
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		s.Define(conf.Key{Name: name, Refuse: "it " + refused[name]}, nil)
	}
}

// setTLS hands one key to the TLS parameters.
func (c *Config) setTLS(name string, v []conf.Value) error {
	p, err := c.TLS.With(conf.Values{name: v})
	if err == nil {
		c.TLS = p
		return nil
	}
	var e *tlsparams.Error
	if errors.As(err, &e) {
		return &conf.Problem{Key: e.Key, Origin: e.Origin, Err: errors.New(e.Reason)}
	}
	return err
}
