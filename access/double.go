package access

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"netserver/conf"
)

// A doubleMode is the parsed value of double_reverse_lookups.
type doubleMode struct {
	on       bool
	detail   bool // the line about a mismatch lists the addresses
	autofail bool // refuse every client, and log what was found
	debug    bool // log what was found for clients that pass
	origin   conf.Origin
}

// leadsToDouble matches a reverse_lookups that requests double lookups,
// followed by their mode.
var leadsToDouble = regexp.MustCompile(`(?i)^(?:double|2)(.*)$`)

// lookupModes reads reverse_lookups and double_reverse_lookups. For
// Net::Server every text except "" and 0 is true; off, no and false would be
// too, so they are refused, and so are unknown words.
func lookupModes(r *Rules, p *problems) (reverse bool, mode doubleMode) {
	rev, dbl := last(r.ReverseLookups), last(r.DoubleReverseLookups)
	if m := leadsToDouble.FindStringSubmatch(rev.Text); m != nil {
		reverse, mode.on, mode.origin = true, true, rev.Origin
		mode.read(keyReverse, m[1], rev, p)
		if m[1] != "" && m[1] != "0" {
			return reverse, mode // the mode in reverse_lookups takes precedence
		}
	} else {
		reverse = truth(keyReverse, rev, "0, 1, double, or double followed by a mode", p)
	}
	if dbl.Text == "" || dbl.Text == "0" {
		return reverse, mode
	}
	mode = doubleMode{on: true, origin: dbl.Origin}
	mode.read(keyDouble, dbl.Text, dbl, p)
	return true, mode
}

// modeWords are the words of a mode, and modeRest what may separate them.
var (
	modeWords = regexp.MustCompile(`(?i)detail|autofail|debug`)
	modeRest  = regexp.MustCompile(`(?i)^(?:double|on|yes|true|[\d\s_,.:;+/-])*$`)
)

func (m *doubleMode) read(key, text string, v conf.Value, p *problems) {
	lower := strings.ToLower(text)
	m.detail = strings.Contains(lower, "detail")
	m.autofail = strings.Contains(lower, "autofail")
	m.debug = strings.Contains(text, "debug") // Net::Server knows it in lower case only
	if rest := modeWords.ReplaceAllString(text, " "); !modeRest.MatchString(rest) {
		p.add(badMode(key, v, "0, 1, or text with the words detail, autofail and debug"))
	}
}

// truth reads a text that is on or off.
func truth(key string, v conf.Value, want string, p *problems) bool {
	switch strings.ToLower(v.Text) {
	case "", "0":
		return false
	case "1", "on", "yes", "true":
		return true
	}
	if strings.Trim(v.Text, "0123456789") != "" || strings.Trim(v.Text, "0") == "" {
		p.add(badMode(key, v, want))
	}
	return true
}

func badMode(key string, v conf.Value, want string) error {
	e := &ruleError{key: key, text: v.Text, origin: v.Origin}
	switch strings.ToLower(v.Text) {
	case "off", "no", "false", "none":
		e.why = "would be true to Net::Server, as is every text but 0: write 0"
	default:
		e.why = "is no mode: write " + want
	}
	return e
}

// The outcomes of a double lookup, in the order of rules.double.
const (
	doubleNoHost = iota
	doubleNoAddrs
	doubleMismatch
	doubleAutofail
	doubleOutcomes
)

var doubleRules = [doubleOutcomes]string{
	"no name", "the name has no address", "the name has other addresses", "autofail",
}

// check compares the look-up's result with the client's address. It returns
// the outcome, or -1 if the client passes, and the line to log. original is
// the address as seen, which may be a mapped one.
func (m *doubleMode) check(original netip.Addr, n Names) (outcome int, log string) {
	addr := plain(original)
	switch {
	case n.Host == "":
		return doubleNoHost, "Double reverse missing host from addr " + addr.String()
	case len(n.Addrs) == 0:
		return doubleNoAddrs, "Double reverse missing reverse addrs from host " + n.Host + " (" + addr.String() + ")"
	case !slices.ContainsFunc(n.Addrs, func(a netip.Addr) bool { return plain(a) == addr }):
		log = "Double reverse did not match:  addr: " + addr.String() + ",  host: " + n.Host
		if m.detail {
			log += found(original, n.Addrs)
		}
		return doubleMismatch, log
	case m.autofail:
		return doubleAutofail, "Double reverse autofail:  addr: " + addr.String() + ",  host: " + n.Host + found(original, n.Addrs)
	case m.debug:
		log = "Double reverse debug:  addr: " + addr.String() + ",  host: " + n.Host + found(original, n.Addrs)
	}
	return -1, log
}

// found lists the name's addresses, and the client's as seen.
func found(original netip.Addr, addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	slices.Sort(texts)
	s := ",  addrs: (" + strings.Join(slices.Compact(texts), " ") + ")"
	if original.Is4In6() {
		s += ",  orig_addr: " + original.String()
	}
	return s
}

// plain returns the address unmapped and without zone, neither of which
// distinguishes clients.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
