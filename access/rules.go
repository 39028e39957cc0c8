package access

import (
	"fmt"
	"net/netip"
	"strings"

	"netserver/conf"
)

// Rules are the access rules as configured. The zero Rules admit everybody.
// They are values only; Compile checks them and makes a Policy.
//
// Without any of the four lists and their files, every address is admitted.
// With any of them, a client that no rule admits is refused; so deny or
// cidr_deny alone refuse everybody, as in Net::Server. A file without rules
// counts too.
type Rules struct {
	// Allow and Deny are regular expressions that must match the whole address
	// or, with reverse lookups, the whole name, ignoring case. A Deny for
	// names misses clients whose name cannot be found; double lookups refuse
	// those.
	Allow, Deny []conf.Value
	// CIDRAllow and CIDRDeny are networks: ADDRESS/BITS, FIRST-LAST or
	// ADDRESS, of IPv4 or IPv6. The address may have bits set beyond BITS.
	CIDRAllow, CIDRDeny []conf.Value
	// AllowNets and DenyNets are networks of a program's own code, which add to
	// CIDRAllow and CIDRDeny, of ports with their own too.
	AllowNets, DenyNets []netip.Prefix
	// AllowFile to CIDRDenyFile are paths of files with one rule per line,
	// added to the lists above. Store follows them.
	AllowFile, DenyFile, CIDRAllowFile, CIDRDenyFile []conf.Value
	// ReverseLookups is one value, the last if several are given: empty or 0
	// for no lookups, 1 for a client's name, or double (or 2) followed by a
	// mode of DoubleReverseLookups.
	ReverseLookups []conf.Value
	// DoubleReverseLookups is one value: empty or 0; or 1, or text with the
	// words detail, autofail and debug, to refuse clients whose name does
	// not resolve to their address. It turns ReverseLookups on.
	DoubleReverseLookups []conf.Value
	// UnixAllowUser and UnixAllowGroup are names or numbers. If either is
	// given, only UNIX clients of these users or groups are admitted;
	// otherwise all UNIX clients are. No other rule applies to UNIX clients.
	UnixAllowUser, UnixAllowGroup []conf.Value
	// Shadow names keys in shadow mode: their rules do not affect the
	// decision, but a client that they would have refused is marked as
	// Shadowed. The word all, or 1, names every key that can refuse.
	Shadow []conf.Value
}

// A Config is Rules, and how they are followed. The zero Config admits everybody.
type Config struct {
	Rules
	// KeepOpen leaves clients alone who are connected when a file of rules
	// changes and the new rules would not let them in. By default they are cut.
	// The key is rules_close, which says the contrary.
	KeepOpen bool
	// Lookups bounds the look-ups of clients' names.
	Lookups LookupConfig
}

// last returns the value of a single-valued key.
func last(vals []conf.Value) conf.Value {
	if len(vals) == 0 {
		return conf.Value{}
	}
	return vals[len(vals)-1]
}

// place returns " (origin)", or "" if the origin is a default.
func place(o conf.Origin) string {
	if o == (conf.Origin{}) {
		return ""
	}
	return " (" + o.String() + ")"
}

// maxQuoted bounds the part of a value in an error, in bytes.
const maxQuoted = 80

func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%q", s)
}

// maxProblems bounds the faults that one Compile lists, so that a file of
// garbage does not become a log of garbage.
const maxProblems = 50

// problems collects errors.
type problems struct {
	errs []error
	more int
}

func (p *problems) add(err error) {
	if err == nil {
		return
	}
	if len(p.errs) >= maxProblems {
		p.more++
		return
	}
	p.errs = append(p.errs, err)
}

// err returns one error with a line for each fault, or nil.
func (p *problems) err() error {
	if len(p.errs) == 0 {
		return nil
	}
	errs := p.errs
	if p.more > 0 {
		errs = append(errs[:len(errs):len(errs)], fmt.Errorf("and %d more faults in the access rules", p.more))
	}
	return Problems(errs)
}

// Problems holds all faults found by Compile, in the order of the keys and
// their values.
type Problems []error

// Error returns one line per fault, without a newline at the end.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, err := range p {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults, for errors.Is and errors.As.
func (p Problems) Unwrap() []error { return p }
