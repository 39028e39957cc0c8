package serving

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"netserver"
	"netserver/conf"
	"netserver/handler/proxy"
	"netserver/port"
)

// proxyHandler makes a handler that connects each client to a target.
func (m *maker) proxyHandler(s *Service) (netserver.Handler, error) {
	h := &proxy.Handler{SessionTimeout: s.SessionTimeout, MaxSessions: s.MaxSessions, Answers: s.Answers, AnswerTimeout: s.AnswerTimeout}
	if s.byName() {
		b, ok := m.backends.made[s.Backend]
		switch {
		case !ok && slices.Contains(m.backends.names(), s.Backend):
			return h, nil // what is wrong with it has been said
		case !ok:
			return nil, m.backends.missing(s.Backend)
		}
		h.Backend = b
	} else {
		h.Target, h.ConnectTimeout = s.ProxyTo[0], s.Dial.ConnectTimeout
		var err error
		if h.Header, err = s.Dial.header(); err != nil {
			return nil, err
		}
		h.Bind = m.bind(&s.Dial)
		h.StartTLS, h.MySQL = s.Dial.startTLS(), s.Dial.mysql()
		if h.TLS, err = m.overTLS(&s.Dial, KeyProxyTo+" "+h.Target, h.Target); err != nil {
			return nil, err
		}
	}
	err := h.Check()
	if own, _ := h.Pool(); err == nil && !s.byName() {
		m.backends.own = append(m.backends.own, own)
	}
	return h, err
}

// missing says that there is no backend called name.
func (b *backends) missing(name string) error {
	p := &conf.Problem{Err: fmt.Errorf("there is no [[backend]] named %q", name)}
	if near := conf.Nearest(name, b.names()); near != "" {
		p.Hint = "did you mean " + near + "?"
	} else if t, err := proxy.ParseTarget(name); err == nil && (strings.Contains(t.Address, ":") || strings.HasPrefix(t.Address, "/")) {
		p.Hint = "an address is given by " + KeyProxyTo + ": --" + KeyProxyTo + " " + name + ", or " + KeyProxyTo + " in a conf file"
	}
	return p
}

// besideBackend refuses values of a port or route that say how targets are
// connected to, where those are of a [[backend]].
func besideBackend(s *Service, values conf.Values) error {
	if !s.byName() {
		return nil
	}
	var errs []error
	new(DialConfig).define(func(k conf.Key, _ conf.Binder) {
		if vals := values[k.Name]; len(vals) > 0 {
			errs = append(errs, &conf.Problem{Key: k.Name, Origin: origin(vals), Err: errors.New("has no effect beside " + keyBackend),
				Hint: "write it into the [[backend]]"})
		}
	})
	return errors.Join(errs...)
}

func (d *DialConfig) setTLVs(vals []conf.Value) error {
	d.ProxyTLVs = 0
	for _, v := range vals {
		for _, name := range conf.Words(v.Text) {
			tlv, err := proxy.ParseTLV(name)
			if err != nil {
				return v.Errorf("%v", err)
			}
			d.ProxyTLVs |= tlv
		}
	}
	return nil
}

func (d *DialConfig) setReceived(vals []conf.Value) (err error) {
	d.ProxyReceived = 0
	for _, v := range vals {
		if d.ProxyReceived, err = proxy.ParseReceived(v.Text); err != nil {
			return v.Errorf("%v", err)
		}
	}
	return nil
}

// header returns what makes the PROXY headers for targets, nil if they get none.
func (d *DialConfig) header() (func([]byte, *netserver.Conn) ([]byte, error), error) {
	switch d.ProxyProtocol {
	case headerV1:
		switch {
		case d.ProxyTLVs != 0:
			return nil, onlyV2(keyBackendTLVs)
		case d.ProxyReceived != proxy.MergeReceived:
			return nil, onlyV2(keyBackendReceived)
		}
		return proxy.Header{Version: 1}.Append, nil
	case headerV2:
		return proxy.Header{Version: 2, TLVs: d.ProxyTLVs, Received: d.ProxyReceived}.Append, nil
	}
	return nil, nil
}

func onlyV2(key string) error {
	return fmt.Errorf("%s has no effect with %s %s, which tells of addresses only: give %s", key, keyBackendHeader, headerV1, headerV2)
}

// bind returns what has sockets for targets connect from the client's address,
// nil if they are not to.
func (m *maker) bind(d *DialConfig) func(netip.Addr, syscall.RawConn) error {
	if !d.Transparent {
		return nil
	}
	return m.foreign.Bind
}

// Transparent reports whether targets are connected to from clients' addresses.
func (s *Services) Transparent() bool {
	if s.faulty || s.in.Result == nil {
		return false
	}
	backends, _ := s.backendConfigs() // what is wrong with them is said elsewhere
	return slices.ContainsFunc(backends, func(b *backendConfig) bool { return b.Dial.Transparent }) ||
		slices.ContainsFunc(s.Used(), func(one *Service) bool { return one.is(proxies) && !one.byName() && one.Dial.Transparent })
}

// checkDatagrams refuses what the targets of a port for datagrams cannot get.
func (m *maker) checkDatagrams(spec port.Spec, s *Service) error {
	if k := spec.Kind(); k != port.UDP && k != port.UnixDgram {
		return nil
	}
	for _, leaf := range s.Leaves() {
		if leaf.web() {
			return located(fmt.Errorf("port %s: datagrams cannot carry HTTP: it is for ports with connections", spec.Short()), leaf.at)
		}
		if leaf.kind != proxies {
			continue
		}
		switch d := m.dialOf(leaf); {
		case d.ProxyProtocol == headerV1:
			return located(fmt.Errorf("port %s: %s %s has no form for datagrams: give %s", spec.Short(), keyBackendHeader, headerV1, headerV2), leaf.at)
		case d.Transparent && m.streams():
			return located(fmt.Errorf("port %s: %s is for ports with connections: give this one %s = false, or another backend", spec.Short(), keyTransparent, keyTransparent), leaf.at)
		case d.TLS && m.streams():
			return located(fmt.Errorf("port %s: datagrams cannot go over TLS: %s is for ports with connections", spec.Short(), keyBackendTLS), leaf.at)
		}
	}
	return nil
}

// dialOf says how the targets of s, which proxies, are connected to.
func (m *maker) dialOf(s *Service) *DialConfig {
	for _, b := range m.backends.list {
		if s.byName() && b.Name == s.Backend {
			return &b.Dial
		}
	}
	return &s.Dial
}
