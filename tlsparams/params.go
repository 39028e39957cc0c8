package tlsparams

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"netserver/conf"
)

// Params holds the SSL_ parameters of a port, or of all ports that do not give
// their own. It holds values only; a zero field means the default. Params is
// copied freely and is not changed by its methods.
type Params struct {
	CertFile string   // SSL_cert_file: PEM, the server's certificate first; or "self-signed"
	KeyFile  string   // SSL_key_file; "" means that CertFile holds the key
	Version  string   // SSL_version, such as "TLSv1_3" or "SSLv23:!TLSv1:!TLSv1_1"; "" means TLS 1.2 and 1.3
	ALPN     []string // SSL_alpn_protocols; the client's first choice among them wins

	origins map[string]conf.Origin // of values that With took from texts
}

// ForceSelfSigned is the SSL_cert_file that asks for a certificate made in
// memory.
const ForceSelfSigned = "self-signed"

// With returns p with the SSL_ keys of v laid over it: a key that v has
// replaces all that p had for it. Keys without the prefix SSL_ are not looked
// at. The error joins an *Error for each key that is unknown, is not possible
// or has a malformed value.
func (p Params) With(v conf.Values) (Params, error) {
	p.origins = maps.Clone(p.origins)
	if p.origins == nil {
		p.origins = make(map[string]conf.Origin)
	}
	known := keyTable()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(v)) {
		vals := v[name]
		if !strings.HasPrefix(name, "SSL_") || len(vals) == 0 {
			continue
		}
		last := vals[len(vals)-1]
		k, ok := known[name]
		reason := ""
		switch {
		case !ok:
			reason = unknownKey(name, known)
		case k.refused != "":
			reason = k.refused
		default:
			reason = k.assign(&p, vals)
		}
		if reason != "" {
			e := &Error{Key: name, Reason: reason, Origin: last.Origin}
			if ok && k.refused == "" && !k.Secret {
				e.Value = last.Text
			}
			errs = append(errs, e)
			continue
		}
		p.origins[name] = last.Origin
	}
	return p, errors.Join(errs...)
}

// fail makes an *Error about a parameter of p.
func (p *Params) fail(where, key, value, reason string, cause error) *Error {
	return &Error{Where: where, Key: key, Value: value, Reason: reason, Origin: p.origins[key], Err: cause}
}

// assign checks that the values fit the kind of key and hands them on.
func (k *keyDef) assign(p *Params, vals []conf.Value) string {
	if !k.Map {
		for _, v := range vals {
			if v.Name != "" {
				return fmt.Sprintf("takes no names, but has a value for %q", v.Name)
			}
		}
	}
	return k.set(p, vals)
}

func setText(field func(*Params) *string) func(*Params, []conf.Value) string {
	return func(p *Params, vals []conf.Value) string {
		*field(p) = strings.TrimSpace(vals[len(vals)-1].Text)
		return ""
	}
}

// setWords takes lists: several values, or one with commas or blanks.
func setWords(field func(*Params) *[]string) func(*Params, []conf.Value) string {
	return func(p *Params, vals []conf.Value) string {
		var words []string
		for _, v := range vals {
			words = append(words, strings.FieldsFunc(v.Text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })...)
		}
		*field(p) = words
		return ""
	}
}

func setVersion(p *Params, vals []conf.Value) string {
	text := strings.TrimSpace(vals[len(vals)-1].Text)
	if _, reason := parseVersions(text); reason != "" {
		return reason
	}
	p.Version = text
	return ""
}

func setALPN(p *Params, vals []conf.Value) string {
	setWords(func(p *Params) *[]string { return &p.ALPN })(p, vals)
	return checkALPN(p.ALPN)
}
