package access

import (
	"slices"

	"netserver/conf"
)

// A KeyInfo describes one configuration key of this package.
type KeyInfo struct {
	Name string    // as in Net::Server, or in its style
	Arg  string    // the value's name in help
	Help string    // what it does
	List bool      // may be given several times
	When conf.When // when it has an effect
	// NetServer is set for Net::Server's own keys.
	NetServer bool

	field func(*Rules) *[]conf.Value
}

// Keys returns the keys of a Rules in the order of help. Rules.Set takes their
// values.
func Keys() []KeyInfo {
	const re, net, file = "REGEX", "NETWORK", "FILE"
	const whenRules = "inet|proxy_protocol" // clients of a UNIX socket have addresses in headers only
	const shadowed = keyAllow + "|" + keyDeny + "|" + keyCIDRAllow + "|" + keyCIDRDeny + "|" + keyAllowFile + "|" + keyDenyFile + "|" +
		keyCIDRAllowFile + "|" + keyCIDRDenyFile + "|" + keyDouble + "|" + keyReverse + "|" + keyUnixUser + "|" + keyUnixGroup
	return []KeyInfo{
		{keyAllow, re, "admit clients whose address, or name with reverse_lookups, matches as a whole", true, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.Allow }},
		{keyDeny, re, "refuse clients whose address, or name with reverse_lookups, matches as a whole; overrides every allow", true, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.Deny }},
		{keyCIDRAllow, net, "admit clients from ADDRESS/BITS, FIRST-LAST or ADDRESS", true, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.CIDRAllow }},
		{keyCIDRDeny, net, "refuse clients from ADDRESS/BITS, FIRST-LAST or ADDRESS; overrides every allow", true, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.CIDRDeny }},
		{keyAllowFile, file, "more allow rules, one a line; the file is followed", true, whenRules, false,
			func(r *Rules) *[]conf.Value { return &r.AllowFile }},
		{keyDenyFile, file, "more deny rules, one a line; the file is followed", true, whenRules, false,
			func(r *Rules) *[]conf.Value { return &r.DenyFile }},
		{keyCIDRAllowFile, file, "more cidr_allow rules, one a line; the file is followed", true, whenRules, false,
			func(r *Rules) *[]conf.Value { return &r.CIDRAllowFile }},
		{keyCIDRDenyFile, file, "more cidr_deny rules, one a line; the file is followed", true, whenRules, false,
			func(r *Rules) *[]conf.Value { return &r.CIDRDenyFile }},
		{keyReverse, "MODE", "look up clients' names: 1, or double and a mode of double_reverse_lookups", false, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.ReverseLookups }},
		{keyDouble, "MODE", "refuse clients whose name does not resolve back to their address: 1, or detail, autofail, debug", false, whenRules, true,
			func(r *Rules) *[]conf.Value { return &r.DoubleReverseLookups }},
		{keyUnixUser, "USER", "admit only these users, and unix_allow_group, to UNIX sockets", true, "unix", false,
			func(r *Rules) *[]conf.Value { return &r.UnixAllowUser }},
		{keyUnixGroup, "GROUP", "admit only members of these groups, and unix_allow_user, to UNIX sockets", true, "unix", false,
			func(r *Rules) *[]conf.Value { return &r.UnixAllowGroup }},
		{keyShadow, "KEY", "only log what this key's rules would refuse; all means every key in this list", true, shadowed, false,
			func(r *Rules) *[]conf.Value { return &r.Shadow }},
	}
}

// Set sets the values of the key called name and reports whether there is such
// a key. Compile reports invalid values.
func (r *Rules) Set(name string, vals []conf.Value) bool {
	for _, k := range Keys() {
		if k.Name == name {
			*k.field(r) = slices.Clone(vals)
			return true
		}
	}
	return false
}

// Texts makes values of a program's own texts.
func Texts(texts ...string) []conf.Value {
	v := make(conf.Values)
	v.Set("", texts...)
	return v[""]
}

// The names of the keys.
const (
	keyAllow         = "allow"
	keyDeny          = "deny"
	keyCIDRAllow     = "cidr_allow"
	keyCIDRDeny      = "cidr_deny"
	keyAllowFile     = "allow_file"
	keyDenyFile      = "deny_file"
	keyCIDRAllowFile = "cidr_allow_file"
	keyCIDRDenyFile  = "cidr_deny_file"
	keyReverse       = "reverse_lookups"
	keyDouble        = "double_reverse_lookups"
	keyUnixUser      = "unix_allow_user"
	keyUnixGroup     = "unix_allow_group"
	keyShadow        = "access_shadow"
)
