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

// hitch converts a file of hitch.
func (c *converter) hitch(text string) error {
	all, _, err := hitchSettings(hitchWords(strings.TrimPrefix(text, "\uFEFF")), 0)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	var certs []setting
	for _, s := range all {
		switch s.name {
		case "frontend":
			c.frontend(s)
		case "pem-file":
			certs = append(certs, s)
		default:
			c.hitchOption(s)
		}
	}
	for i := range c.listens {
		l := &c.listens[i]
		if l.values["SSL_cert_file"] == "" {
			c.certificates(l, certs)
		}
		if l.values["SSL_cert_file"] == "" && c.top.values["SSL_cert_dir"] == "" {
			c.note("frontend", "it has no pem-file; SSL_cert_file is to be added")
		}
	}
	return nil
}

// frontend converts one.
func (c *converter) frontend(s setting) {
	host, port := last(s.block, "host"), last(s.block, "port")
	if s.block == nil {
		host, port = "", s.value
		if i := strings.LastIndexByte(s.value, ':'); i >= 0 {
			host, port = s.value[:i], s.value[i+1:]
		}
		port, _, _ = strings.Cut(port, "+")
	}
	host = strings.Trim(host, "[]")
	if host == "*" {
		host = ""
	}
	at, ok := endpoint(host+":"+port, "")
	if !ok {
		c.note("frontend", "left out: %s is no port", s.value)
		return
	}
	l := section{}
	l.text("port", at+"/ssl")
	var certs []setting
	for _, o := range s.block {
		switch o.name {
		case "host", "port":
		case "pem-file":
			certs = append(certs, o)
		case "sni-nomatch-abort":
			if isOn(o.value) {
				l.text("SSL_unknown_sni", "refuse")
			}
		default:
			c.note("frontend", "%s is not taken over", o.name)
		}
	}
	c.certificates(&l, certs)
	c.listens = append(c.listens, l)
}

// certificates writes the files of a port. Of several, hitch presents the last
// where no name fits.
func (c *converter) certificates(l *section, certs []setting) {
	if len(certs) == 0 {
		return
	}
	s := certs[len(certs)-1]
	file, key := s.value, ""
	if s.block != nil {
		file, key = last(s.block, "cert"), last(s.block, "private-key")
	}
	l.text("SSL_cert_file", file)
	if key != "" {
		l.text("SSL_key_file", key)
	}
	for _, other := range certs[:len(certs)-1] {
		c.note("pem-file", "%s is not taken over: put all certificates into one directory and name it with SSL_cert_dir", other.value+last(other.block, "cert"))
	}
}

func isOn(value string) bool {
	return value == "on" || value == "true" || value == "yes" || value == "1"
}

// hitchOption converts a setting of the whole program.
func (c *converter) hitchOption(s setting) {
	texts := map[string]string{
		"user": "user", "group": "group", "chroot": "chroot", "ciphers": "SSL_cipher_list", "pem-dir": "SSL_cert_dir",
		"log-filename": "log_file", "pidfile": "pid_file", "client-verify-ca": "SSL_ca_file",
	}
	t := &c.top
	switch {
	case texts[s.name] != "" && s.block == nil:
		if s.value != "" {
			t.text(texts[s.name], s.value)
		}
	case s.name == "backend":
		target := strings.NewReplacer("[", "", "]", "").Replace(s.value)
		if at, ok := endpoint(target, "localhost"); ok {
			t.text("proxy_to", at)
			return
		}
		c.note(s.name, "%s is no target", s.value)
	case s.name == "daemon" && isOn(s.value):
		t.set("background", "1")
	case s.name == "syslog" && isOn(s.value):
		t.text("log_file", "Sys::Syslog")
	case s.name == "write-proxy-v1" && isOn(s.value):
		t.text("backend_proxy_protocol", "v1")
	case (s.name == "write-proxy-v2" || s.name == "write-proxy") && isOn(s.value):
		t.text("backend_proxy_protocol", "v2")
	case s.name == "alpn-protos":
		t.set("SSL_alpn_protocols", array(strings.FieldsFunc(s.value, func(r rune) bool { return r == ',' || r == ' ' })))
	case s.name == "client-verify":
		if mode := map[string]string{"optional": "1", "required": "3"}[s.value]; mode != "" {
			t.set("SSL_verify_mode", mode)
		}
	case s.name == "sni-nomatch-abort" && isOn(s.value):
		t.text("SSL_unknown_sni", "refuse")
	case s.name == "tls-protos" && strings.TrimSpace(s.value) == "TLSv1.3":
		t.text("SSL_version", "TLSv1_3")
	case s.name == "tls-protos" && !strings.Contains(s.value, "TLSv1.0") && !strings.Contains(s.value, "TLSv1.1") && !strings.Contains(s.value, "SSL"):
	case s.name == "workers", s.name == "prefer-server-ciphers", s.name == "quiet", strings.EqualFold(s.value, "off"):
		// one process uses all processors; the rest is so anyway, or off
	default:
		c.note(s.name, "it is not taken over")
	}
}
