package tlsparams

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"netserver/conf"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/sni"
)

// checkName checks an entry's name: a pattern, for certificates with "%TYPE".
func checkName(name, key string) string {
	pattern, typ, further := strings.Cut(name, "%")
	if further && (typ == "" || key != "SSL_cert_file" && key != "SSL_key_file") {
		return fmt.Sprintf("has the name %q; %%TYPE adds a further key type to SSL_cert_file and SSL_key_file only", name)
	}
	return sni.Check(pattern)
}

type setter = func(*Params, []conf.Value) string

func lastText(vals []conf.Value) string { return strings.TrimSpace(vals[len(vals)-1].Text) }

func setText(field func(*Params) *string) setter {
	return func(p *Params, vals []conf.Value) string {
		*field(p) = lastText(vals)
		return ""
	}
}

// setChecked is setText with a check that returns why the text is wrong.
func setChecked(field func(*Params) *string, check func(string) string) setter {
	return func(p *Params, vals []conf.Value) string {
		*field(p) = lastText(vals)
		return check(lastText(vals))
	}
}

// setNamed takes one text for all and one for each name.
func setNamed(field func(*Params) *string, names func(*Params) *map[string]string) setter {
	return func(p *Params, vals []conf.Value) string {
		*field(p), *names(p) = "", nil
		m := make(map[string]string)
		for _, v := range vals {
			if v.Name == "" {
				*field(p) = strings.TrimSpace(v.Text)
				continue
			}
			name := sni.Normal(v.Name)
			if _, twice := m[name]; twice {
				return fmt.Sprintf("is given twice for %q", name)
			}
			m[name] = strings.TrimSpace(v.Text)
		}
		if len(m) > 0 {
			*names(p) = m
		}
		return ""
	}
}

// words splits lists: several values, or one with commas or blanks.
func words(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, conf.Words(t)...)
	}
	return out
}

func texts(vals []conf.Value) []string {
	out := make([]string, len(vals))
	for i, v := range vals {
		out[i] = v.Text
	}
	return out
}

func setALPN(p *Params, vals []conf.Value) string {
	p.ALPN = words(texts(vals))
	for _, n := range p.ALPN {
		if strings.Contains(n, ":") {
			return "has " + protocol.Quote(n) + ", and no protocol has a colon in its name; separate names with commas or blanks"
		}
	}
	return protocol.CheckALPN(p.ALPN)
}

// parseBool reads Perl's idea of true and false, and the usual words.
func parseBool(text string) (bool, string) {
	switch strings.ToLower(text) {
	case "1", "yes", "true", "on":
		return true, ""
	case "", "0", "no", "false", "off":
		return false, ""
	}
	return false, "is neither 1 nor 0"
}

func setBool(field func(*Params) *bool) setter {
	return func(p *Params, vals []conf.Value) (reason string) {
		*field(p), reason = parseBool(lastText(vals))
		return reason
	}
}

func setNotBool(field func(*Params) *bool) setter {
	return func(p *Params, vals []conf.Value) string {
		b, reason := parseBool(lastText(vals))
		*field(p) = !b
		return reason
	}
}

// setTrue takes only true: the server always does what the key says.
func setTrue(otherwise string) setter {
	return func(_ *Params, vals []conf.Value) string {
		if b, reason := parseBool(lastText(vals)); reason != "" {
			return reason
		} else if !b {
			return otherwise
		}
		return ""
	}
}

func setLineLength(p *Params, vals []conf.Value) string {
	n, err := strconv.Atoi(lastText(vals))
	if err != nil || n < 1 {
		return "is not a number of bytes above 0"
	}
	p.MaxLine = n
	return ""
}

func setTicketLife(p *Params, vals []conf.Value) string {
	text := lastText(vals)
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.Atoi(text); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 || d > maxTicketLife {
		return "is not a time from 0 to 7 days; write seconds, or 90m or 12h"
	}
	if d == 0 {
		d = -1
	}
	p.TicketLife = d
	return ""
}

// maxTicketLife is what TLS 1.3 allows.
const maxTicketLife = 7 * 24 * time.Hour

// perClient takes values of Client, for all and for names. What was there
// before goes, under all names.
func perClient[T any](field func(*Client) *T, parse func([]string) (T, string)) setter {
	return func(p *Params, vals []conf.Value) string {
		var zero T
		*field(&p.Client) = zero
		for name, c := range maps.Clone(p.Clients) {
			*field(&c) = zero
			p.Clients[name] = c
		}
		grouped := make(map[string][]string)
		for _, v := range vals {
			name := sni.Normal(v.Name)
			grouped[name] = append(grouped[name], strings.TrimSpace(v.Text))
		}
		for name, list := range grouped {
			x, reason := parse(list)
			if reason != "" {
				return reason
			}
			if name == "" {
				*field(&p.Client) = x
				continue
			}
			if p.Clients == nil {
				p.Clients = make(map[string]Client)
			}
			c := p.Clients[name]
			*field(&c) = x
			p.Clients[name] = c
		}
		return ""
	}
}

func last(list []string) (string, string) { return list[len(list)-1], "" }

func lines(list []string) ([]string, string) { return list, "" }

// paths splits at the system's list separator, as SSL_ca_path takes several.
func paths(list []string) ([]string, string) {
	var out []string
	for _, t := range list {
		for _, p := range splitPathList(t) {
			if p != "" {
				out = append(out, p)
			}
		}
	}
	return out, ""
}

func lastBool(list []string) (bool, string) { return parseBool(list[len(list)-1]) }

// checkUnexpectedEOF returns why SSL_unexpected_eof is wrong, or "".
func checkUnexpectedEOF(text string) string {
	switch text {
	case "", "end", "reset":
		return ""
	}
	return "must be end or reset"
}
