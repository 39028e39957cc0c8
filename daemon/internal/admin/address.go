package admin

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"netserver/conf"
	"netserver/port"
)

// ParseAddress reads the value of the key admin: HOST:PORT, or the absolute path
// of a socket, in the grammar of ports, with parameters of its own behind it,
// each as |KEY=VALUE.
func ParseAddress(v conf.Value) (port.Spec, error) {
	var none port.Spec
	text, params := v.Text, conf.Values{}
	for {
		i := strings.LastIndexByte(text, '|')
		if i < 0 {
			break
		}
		key, value, ok := strings.Cut(strings.TrimSpace(text[i+1:]), "=")
		if !ok {
			break // a word of the address
		}
		if key = strings.TrimSpace(key); !ownParam(key) {
			return none, v.Errorf("%q is no parameter of admin; it takes those that begin with SSL_, and unix_mode, unix_owner and unix_group", key)
		}
		if params[key] != nil {
			return none, v.Errorf("%s is given twice", key)
		}
		params[key], text = []conf.Value{{Text: strings.TrimSpace(value), Origin: v.Origin}}, text[:i]
	}
	text = strings.TrimSpace(text)
	d := port.Defaults{Host: "127.0.0.1", Proto: port.TCP}
	path := filepath.IsAbs(text)
	for key := range params {
		if strings.HasPrefix(key, "SSL_") {
			d.Proto = port.SSL
		}
	}
	if path {
		d.Proto = map[string]string{port.TCP: port.Unix, port.SSL: port.UnixSSL}[d.Proto]
	}
	specs, err := port.Parse(text, d)
	if err != nil {
		return none, v.Errorf("%v", err)
	}
	if len(specs) != 1 {
		return none, v.Errorf("%q is several ports; write one", text)
	}
	s := specs[0]
	s.Origin = v.Origin
	if s.Params == nil {
		s.Params = make(conf.Values)
	}
	for key, vals := range params {
		s.Params[key] = vals
	}
	return checkAddress(s, v)
}

// ownParam reports whether a key may stand behind the address.
func ownParam(key string) bool {
	return strings.HasPrefix(key, "SSL_") || key == "unix_mode" || key == "unix_owner" || key == "unix_group"
}

func checkAddress(s port.Spec, v conf.Value) (port.Spec, error) {
	switch s.Kind() {
	case port.Unix, port.UnixSSL:
		if !filepath.IsAbs(s.Port) {
			return s, v.Errorf("%s is not an absolute path", s.Port)
		}
		if s.Params["unix_mode"] == nil {
			s.Params["unix_mode"] = []conf.Value{{Text: "0600", Origin: v.Origin}}
		}
		return s, nil
	case port.TCP, port.SSL:
	default:
		return s, v.Errorf("HTTP is not spoken over %s; write HOST:PORT, HOST:PORT/ssl, or a socket's absolute path", s.Proto)
	}
	if strings.EqualFold(s.Host, "localhost") {
		s.Host = "127.0.0.1"
	}
	a, err := netip.ParseAddr(s.Host)
	switch {
	case err == nil && a.Unmap().Is4():
		s.IPv = "4"
	case err == nil:
		s.IPv = "6"
	case s.Host != "*":
		return s, v.Errorf("%q is not an address; write the address to listen on, as 127.0.0.1:8080", s.Host)
	}
	return s, nil
}

// Public reports whether others than this machine may reach s.
func Public(s port.Spec) bool {
	if s.IsUnix() {
		return false
	}
	a, err := netip.ParseAddr(s.Host)
	return err != nil || !a.IsLoopback()
}

// Same reports whether s and the port o of the server cannot both be opened.
func Same(s, o port.Spec) bool {
	switch {
	case s.IsUnix() || o.IsUnix():
		return s.IsUnix() && o.IsUnix() && filepath.Clean(s.Port) == filepath.Clean(o.Port)
	case s.Port != o.Port || s.Port == "0" || o.Kind() == port.UDP:
		return false
	case s.Host == o.Host || s.Host == "*" || o.Host == "*":
		return true
	}
	a, aerr := netip.ParseAddr(s.Host)
	b, berr := netip.ParseAddr(o.Host)
	if aerr != nil || berr != nil || a.Is4() != b.Is4() && !all(a, s) && !all(b, o) {
		return false
	}
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}

// all reports whether a stands for the addresses of both families.
func all(a netip.Addr, s port.Spec) bool { return a == netip.IPv6Unspecified() && s.IPv != "6" }

// CheckPublic returns why s may not be opened with these keys: nil if it may.
// verified says that clients must show a certificate.
func CheckPublic(s port.Spec, public, write, pprof, verified bool) error {
	if !Public(s) {
		return nil
	}
	var errs []error
	if !public {
		errs = append(errs, fmt.Errorf("admin: %s can be reached by others, who would see all clients, ports and certificates; give 127.0.0.1:PORT or a socket's path, or say admin_public 1", s.Short()))
	}
	if pprof {
		errs = append(errs, errors.New("admin_pprof: profiles show what is in memory, and are for 127.0.0.1:PORT or a socket's path alone; leave it out"))
	}
	if write && !verified {
		errs = append(errs, fmt.Errorf("admin_write: others could reach %s and end clients; have it ask for certificates (admin %s|SSL_verify_mode=3|SSL_ca_file=FILE), or leave it out", s.Short(), s.Short()))
	}
	return errors.Join(errs...)
}
