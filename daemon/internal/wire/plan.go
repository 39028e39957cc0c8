package wire

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/internal/certfile"
	"netserver/sock"
)

// Unusable begins the answer about a file that cannot be given, before the
// reason, which follows the file's name.
const Unusable = "the file "

// PortNames returns the names of a plan's ports.
func (p *Plan) PortNames() []string {
	names := make([]string, len(p.Ports))
	for i, r := range p.Ports {
		names[i] = r.Spec.Short()
	}
	return names
}

// A PairAnswer is a certificate for a worker, without its key.
type PairAnswer struct {
	Same   bool     `json:",omitempty"` // as the worker has it
	Chain  [][]byte `json:",omitempty"` // DER
	Key    uint32   `json:",omitempty"` // by which the key is known
	Digest [32]byte
	// What is wrong with one of the files; Reason is "" for nothing.
	Role   certfile.Role `json:",omitempty"`
	File   string        `json:",omitempty"`
	Reason string        `json:",omitempty"`
}

// A Plan is a resolved configuration in a form that can be handed to another
// process: an edit between the starts of two workers cannot make them differ.
type Plan struct {
	Values  conf.Values             // what some source gave
	Blocks  []conf.Block            // ports of a TOML file
	Serving []conf.Block            `json:",omitempty"` // what each of Ports has for what serves its clients
	Tables  map[string][]conf.Block `json:",omitempty"` // its other tables
	Program []string                // what serves each client
	// Leftover is what nobody defined, for a program that uses the library.
	Leftover       []conf.Entry
	Ports          []sock.Request
	Notes          []string // lines for the log
	Warn           []string // the same, of what somebody should look at
	Files          []string // certificates, keys and the like that a worker may ask for
	Dirs           []string // directories of such files
	Isolate        bool     // the supervisor keeps private keys to itself
	Foreign        bool     // workers connect to targets from clients' addresses, by sockets of the supervisor
	Unnamed        bool     // nothing names a port: it is the default one
	FileKeys       int      // keys and blocks that the conf file gives
	NoFinalNewline bool     // its last line has no end
	Admin          *Admin   `json:",omitempty"` // nil: there is no admin listener
}

// An Admin is the admin listener of a plan.
type Admin struct {
	Port        sock.Request
	Write       bool     // its clients may change something
	Files, Dirs []string // of its TLS, as in Plan
}

// Layers returns the plan as a source of configuration.
func (p *Plan) Layers() []conf.Layer {
	values := maps.Clone(p.Values)
	delete(values, "unknown_keys") // which was for the sources
	l := conf.LayerOf(conf.SourceCode, values)
	l.Blocks, l.Tables = p.Blocks, p.Tables
	return []conf.Layer{l}
}

// ReadItself is the answer to a worker that is to read a file itself.
const ReadItself = "read it yourself"

// LookupKeys are the keys, beside proxy_to, by which names are looked up for
// clients.
func LookupKeys() []string {
	return []string{"reverse_lookups", "double_reverse_lookups", "SSL_ocsp_check"}
}

// All returns the values of the whole server, of each port, and of each block.
func (p *Plan) All() []conf.Values {
	list := []conf.Values{p.Values}
	for _, r := range p.Ports {
		list = append(list, r.Spec.Params)
	}
	var add func(blocks []conf.Block)
	within := func(tables map[string][]conf.Block) {
		for _, blocks := range tables {
			add(blocks)
		}
	}
	add = func(blocks []conf.Block) {
		for _, b := range blocks {
			list = append(list, b.Values)
			within(b.Tables)
		}
	}
	add(p.Serving)
	within(p.Tables)
	return list
}

// Targets returns what the keys proxy_to and targets give: whom serving
// processes connect to.
func (p *Plan) Targets() (list []string) {
	for _, v := range p.All() {
		for _, key := range []string{"proxy_to", "targets"} {
			for _, val := range v[key] {
				list = append(list, val.Text)
			}
		}
	}
	return list
}

// LooksUpNames reports whether serving clients may take name look-ups: of
// targets, of clients, or of who answers for their certificates.
func (p *Plan) LooksUpNames() bool {
	return slices.ContainsFunc(p.All(), func(v conf.Values) bool {
		if v.Get("targets_file") != "" {
			return true // there may be names in it
		}
		return slices.ContainsFunc(LookupKeys(), func(key string) bool {
			text := v.Get(key)
			return text != "" && text != "0" && text != "off"
		})
	}) || slices.ContainsFunc(p.Targets(), IsName)
}

// NamesUsers reports whether rules name users or groups, whose numbers have to
// be looked up.
func (p *Plan) NamesUsers() bool {
	return slices.ContainsFunc(p.All(), func(v conf.Values) bool { return len(v["unix_allow_user"])+len(v["unix_allow_group"]) > 0 })
}

// IsName reports whether the host of a target has to be looked up. Behind a
// blank may stand what else is said of the target.
func IsName(target string) bool {
	target, _, _ = strings.Cut(target, " ")
	if target == "" || strings.HasPrefix(target, "/") || strings.HasPrefix(target, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return true
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}
