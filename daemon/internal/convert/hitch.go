package convert

import (
	"fmt"
	"strings"
)

// A setting is one of hitch's file: NAME = VALUE, or NAME = { SETTINGS }.
type setting struct {
	name, value string
	block       []setting
}

// last returns the value of the last setting of a name.
func last(all []setting, name string) string {
	value := ""
	for _, s := range all {
		if s.name == name {
			value = s.value
		}
	}
	return value
}

// hitchWords splits a file of hitch into names, values, =, { and }.
func hitchWords(text string) []string {
	var words []string
	for text != "" {
		switch c := text[0]; {
		case strings.IndexByte(" \t\r\n;,", c) >= 0:
			text = text[1:]
		case c == '#':
			_, text, _ = strings.Cut(text, "\n")
		case c == '=' || c == '{' || c == '}':
			words, text = append(words, text[:1]), text[1:]
		case c == '"':
			end := strings.IndexByte(text[1:], '"')
			if end < 0 {
				return append(words, text)
			}
			words, text = append(words, text[:end+1]), text[end+2:]
		default:
			end := strings.IndexAny(text, " \t\r\n=#{}\";")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
		}
	}
	return words
}

// hitchSettings reads settings up to the } that ends a block, or to the end.
func hitchSettings(words []string, deep int) ([]setting, []string, error) {
	var all []setting
	for len(words) > 0 {
		if words[0] == "}" && deep > 0 {
			return all, words[1:], nil
		}
		if len(words) < 3 || words[1] != "=" || strings.ContainsAny(words[0], `={}"`) || words[2] == "=" || words[2] == "}" {
			return nil, nil, fmt.Errorf("NAME = VALUE is expected where %.40q stands", words[0])
		}
		s := setting{name: words[0], value: strings.TrimPrefix(words[2], `"`)}
		words = words[3:]
		for s.name == "tls-protos" && len(words) > 0 && hitchVersions[words[0]] { // a list without quotation marks
			s.value, words = s.value+" "+words[0], words[1:]
		}
		if s.value == "{" {
			if deep > 2 {
				return nil, nil, fmt.Errorf("blocks are too deep in %.40q", s.name)
			}
			var err error
			if s.block, words, err = hitchSettings(words, deep+1); err != nil {
				return nil, nil, err
			}
			s.value = ""
		}
		all = append(all, s)
	}
	if deep > 0 {
		return nil, nil, fmt.Errorf("a block has no end")
	}
	return all, nil, nil
}

// hitchVersions are the words of tls-protos.
var hitchVersions = map[string]bool{"SSLv3": true, "TLSv1.0": true, "TLSv1.1": true, "TLSv1.2": true, "TLSv1.3": true}

// hitch converts a file of hitch.
func (c *converter) hitch(text string) error {
	all, _, err := hitchSettings(hitchWords(strings.TrimPrefix(text, "\uFEFF")), 0)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	files := c.pemDir(all)
	var certs []hitchCert
	for _, s := range all {
		if s.name == "pem-file" {
			certs = append(certs, hitchCertOf(s))
		}
	}
	if len(certs) == 0 && len(files) > 0 { // of a directory, the first is for names that no other has
		files = append(files[1:], files[0])
	}
	certs = append(files, certs...)
	for _, s := range all {
		switch s.name {
		case "frontend", "pem-file", "pem-dir", "pem-dir-glob":
		default:
			if !c.hitchTLS(&c.top, "", s) {
				c.hitchOption(s, all)
			}
		}
	}
	for _, s := range all {
		if s.name == "frontend" {
			c.frontend(s, certs, last(all, "backlog"))
		}
	}
	if c.top.values["proxy_to"] == "" {
		c.note("backend", "there is none; proxy_to is to be added")
	}
	return nil
}

// frontend converts one. The certificates in it come before those of the file.
func (c *converter) frontend(s setting, certs []hitchCert, backlog string) {
	host, port, own := last(s.block, "host"), last(s.block, "port"), ""
	if s.block == nil {
		host, port = "", s.value
		at, file, _ := strings.Cut(s.value, "+")
		if i := strings.LastIndexByte(at, ':'); i >= 0 {
			host, port = at[:i], at[i+1:]
		}
		own = file
	}
	host = strings.Trim(host, "[]")
	if host == "*" {
		host = ""
	}
	at, ok := endpoint(host+":"+port, "")
	if !ok {
		c.note("frontend", "left out: %s is no port", host+":"+port)
		return
	}
	l := section{}
	l.text("port", at+"/ssl")
	if backlog != "" { // in a file with [[listen]] that key cannot stand alone
		l.text("listen", backlog)
	}
	var mine []hitchCert
	if own != "" {
		mine = append(mine, hitchCert{file: own})
	}
	global := false
	for _, o := range s.block {
		switch o.name {
		case "host", "port":
		case "pem-file":
			mine = append(mine, hitchCertOf(o))
		case "match-global-certs":
			global = isOn(o.value)
		default:
			if !c.hitchTLS(&l, "frontend: ", o) {
				c.note("frontend", "%s is not taken over", o.name)
			}
		}
	}
	switch {
	case len(mine) == 0:
		mine = certs
	case global:
		mine = append(certs[:len(certs):len(certs)], mine...)
	}
	switch {
	case len(mine) > 0:
		c.certificates(&l, mine)
	case c.top.values["SSL_cert_dir"] == "":
		c.note("frontend", "it has no pem-file; SSL_cert_file is to be added")
	}
	c.listens = append(c.listens, l)
}

func isOn(value string) bool {
	return value == "on" || value == "true" || value == "yes" || value == "1"
}
