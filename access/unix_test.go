//go:build linux || darwin || freebsd

package access

import (
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestCredOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := CredOf(server.(*net.UnixConn))
	if err != nil {
		t.Fatal(err)
	}
	if int(c.UID) != os.Geteuid() || !c.in(uint32(os.Getegid())) || c.in(4_000_000_000) {
		t.Errorf("%+v", c)
	}
	if groups, err := os.Getgroups(); err == nil {
		for _, g := range groups {
			if !c.in(uint32(g)) {
				t.Errorf("group %d is missing in %+v", g, c)
			}
		}
	}
	server.Close()
	if c, err := CredOf(server.(*net.UnixConn)); err == nil {
		t.Errorf("a closed socket has %+v", c)
	}
}

func TestCredOfUnconnected(t *testing.T) {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if cred, err := CredOf(c); err == nil {
		t.Errorf("a socket without a peer has %+v", cred)
	}
}

func TestUnixRules(t *testing.T) {
	p := compile(t, Rules{
		UnixAllowUser: at("server.conf", 1, "root", "1234"), UnixAllowGroup: at("server.conf", 5, "77"),
		Deny: Texts(".*"), DoubleReverseLookups: Texts("autofail"), // none of their business
	})
	for _, c := range []struct {
		cred *Cred
		rule string
	}{
		{&Cred{UID: 0}, "unix_allow_user root (server.conf:1)"},
		{&Cred{UID: 1234, GID: 77}, "unix_allow_user 1234 (server.conf:2)"},
		{&Cred{UID: 5, GID: 77}, "unix_allow_group 77 (server.conf:5)"},
		{&Cred{UID: 5, GID: 6, Groups: []uint32{8, 77}}, "unix_allow_group 77 (server.conf:5)"},
		{&Cred{UID: 5, GID: 6, Groups: []uint32{8}}, ""},
		{&Cred{UID: ^uint32(0), GID: ^uint32(0)}, ""},
		{nil, ""},
	} {
		if !p.NeedsCred() {
			t.Fatal("the client's identity is not asked for")
		}
		v := p.Early(Peer{Unix: true, Cred: c.cred})
		if !v.Final || v.Allowed != (c.rule != "") || v.Allowed && v.Rule != c.rule {
			t.Errorf("%+v: %+v", c.cred, v)
		}
	}
	if v := compile(t, Rules{Deny: Texts(".*")}).Early(Peer{Unix: true}); !v.Allowed || v.Rule != "UNIX socket" {
		t.Errorf("without rules: %+v", v)
	}
	if compile(t, Rules{Deny: Texts(".*")}).NeedsCred() {
		t.Error("the client's identity is asked for in vain")
	}
	p = compile(t, Rules{UnixAllowUser: Texts("0"), UnixAllowGroup: Texts("77"), Shadow: Texts("unix_allow_user", "unix_allow_group")})
	if v := p.Early(Peer{Unix: true, Cred: &Cred{UID: 5}}); !v.Allowed || !v.Shadowed {
		t.Errorf("in shadow mode: %+v", v)
	}
	for _, bad := range []Rules{{UnixAllowUser: Texts("4294967295")}, {UnixAllowGroup: Texts("no such group")}, {UnixAllowUser: Texts("")}} {
		if _, err := bad.Compile(); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestExplainUnix(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	p := compile(t, Rules{UnixAllowUser: Texts(me.Username)})
	for who, want := range map[string]bool{"unix:" + me.Username: true, "unix:" + me.Uid: true, "unix:4000000000": false, "unix": false} {
		e, err := Explain(t.Context(), p, nil, who, "")
		if err != nil || e.Allowed != want {
			t.Errorf("%s: %+v, %v", who, e, err)
		}
	}
	g, err := strconv.Atoi(me.Gid)
	if err != nil {
		t.Skip(err)
	}
	p = compile(t, Rules{UnixAllowGroup: Texts(strconv.Itoa(g))})
	if e, err := Explain(t.Context(), p, nil, "unix:"+me.Username, ""); err != nil || !e.Allowed {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := Explain(t.Context(), p, nil, "unix:no-such-user", ""); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Error(err)
	}
}

// In shadow mode one kind of rules is not enforced, and the other is.
func TestUnixRulesWithoutOneKind(t *testing.T) {
	p := compile(t, Rules{UnixAllowUser: at("server.conf", 1, "0"), UnixAllowGroup: at("server.conf", 2, "77")})
	rules := p.enforced.unix
	for _, c := range []struct{ users, groups, user, group bool }{
		{false, false, true, true}, {true, false, false, true}, {false, true, true, false}, {true, true, false, false},
	} {
		v := rules.without(c.users, c.groups)
		if got := v != nil && len(v.users) > 0; got != c.user {
			t.Errorf("%+v: users %v", c, got)
		}
		if got := v != nil && len(v.groups) > 0; got != c.group {
			t.Errorf("%+v: groups %v", c, got)
		}
	}
	if len(rules.users) != 1 || len(rules.groups) != 1 {
		t.Error("the rules themselves have changed")
	}
	if v := (*unixRules)(nil).without(true, true); v != nil {
		t.Errorf("%+v of none", v)
	}
}
