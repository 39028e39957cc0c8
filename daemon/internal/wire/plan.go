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
	Unnamed        bool     // nothing names a port: it is the default one
	FileKeys       int      // keys and blocks that the conf file gives
	NoFinalNewline bool     // its last line has no end
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

// LooksUpNames reports whether serving clients may take name look-ups: of the
// backend, of clients, or of who answers for their certificates.
func (p *Plan) LooksUpNames() bool {
	given := func(v conf.Values) bool {
		for _, key := range LookupKeys() {
			if text := v.Get(key); text != "" && text != "0" && text != "off" {
				return true
			}
		}
		return IsName(v.Get("proxy_to"))
	}
	return given(p.Values) || slices.ContainsFunc(p.Ports, func(r sock.Request) bool { return given(r.Spec.Params) })
}

// IsName reports whether the host of proxy_to has to be looked up.
func IsName(target string) bool {
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
