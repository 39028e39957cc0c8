package tlsparams

import (
	"fmt"
	"maps"
	"slices"

	"netserver/conf"
)

// KeyInfo describes one SSL_ key for the configuration and its help.
type KeyInfo struct {
	Name      string    // "SSL_cert_file"
	Arg       string    // what the value is, for help: "FILE"
	Help      string    // one line
	List      bool      // several values may be given
	Map       bool      // values may be given per SNI name
	Secret    bool      // the value must not be shown
	When      conf.When // when it has an effect
	NetServer bool      // Net::Server has it too, and not IO::Socket::SSL alone
}

// theirs are the keys that Net::Server::Proto::SSL names itself.
var theirs = [...]string{
	"SSL_use_cert", "SSL_verify_mode", "SSL_key_file", "SSL_cert_file", "SSL_ca_path", "SSL_ca_file",
	"SSL_cipher_list", "SSL_max_getline_length", "SSL_version",
}

// Keys returns the keys that can be given as text, sorted by name.
func Keys() []KeyInfo {
	var list []KeyInfo
	for _, k := range keyTable() {
		if k.refused == "" {
			info := k.KeyInfo
			if info.When == "" {
				info.When = "tls"
			}
			info.NetServer = slices.Contains(theirs[:], k.Name)
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b KeyInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}

// Refused returns the keys of the original that cannot be given as text, each
// with the reason and what to use instead.
func Refused() map[string]string {
	m := make(map[string]string)
	for name, k := range keyTable() {
		if k.refused != "" {
			m[name] = k.refused
		}
	}
	return m
}

type keyDef struct {
	KeyInfo
	set     func(*Params, []conf.Value) string // returns why the values are wrong, or ""
	refused string                             // why the key cannot be given at all
}

func keyTable() map[string]keyDef {
	m := make(map[string]keyDef)
	for _, k := range handledKeys() {
		m[k.Name] = k
	}
	for name, reason := range refusedKeys() {
		m[name] = keyDef{KeyInfo: KeyInfo{Name: name}, refused: reason}
	}
	return m
}

// unknownKey says that name is no key, with the nearest one that is.
func unknownKey(name string, known map[string]keyDef) string {
	best, dist := "", 1+len(name)/3
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if d := editDistance(name, k); d <= dist && (best == "" || d < dist) {
			best, dist = k, d
		}
	}
	if best == "" {
		return "is not a known parameter"
	}
	return fmt.Sprintf("is not a known parameter; did you mean %s?", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
