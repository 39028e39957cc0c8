package access

import (
	"errors"
	"os/user"
	"strconv"

	"netserver/conf"
)

// unixRules are the users and groups that may use UNIX sockets, each with the
// name of the rule that admits it.
type unixRules struct {
	users, groups map[uint32]string
}

const (
	ruleUnixNoCred = "unix_allow_user and unix_allow_group: the system did not report the client's identity"
	ruleUnixOther  = "no unix_allow_user or unix_allow_group allows"
)

func (u *unixRules) judge(c *Cred) Verdict {
	if u == nil {
		return allowed("", ruleUnix)
	}
	if c == nil {
		return denied(keyUnixUser, ruleUnixNoCred)
	}
	if rule, ok := u.users[c.UID]; ok {
		return allowed(keyUnixUser, rule)
	}
	if rule, ok := u.groups[c.GID]; ok {
		return allowed(keyUnixGroup, rule)
	}
	for _, g := range c.Groups {
		if rule, ok := u.groups[g]; ok {
			return allowed(keyUnixGroup, rule)
		}
	}
	return denied(keyUnixUser, ruleUnixOther)
}

// newUnixRules returns nil if neither users nor groups are given.
func newUnixRules(users, groups []conf.Value, p *problems) *unixRules {
	if len(users)+len(groups) == 0 {
		return nil
	}
	return &unixRules{
		users:  ids(keyUnixUser, users, userID, p),
		groups: ids(keyUnixGroup, groups, groupID, p),
	}
}

func ids(key string, vals []conf.Value, id func(string) (uint32, *ruleError), p *problems) map[uint32]string {
	m := make(map[uint32]string, len(vals))
	for _, v := range vals {
		fail := func(e *ruleError) {
			e.key, e.text, e.origin = key, v.Text, v.Origin
			p.add(e)
		}
		if !canCred {
			fail(&ruleError{why: "cannot be used here: " + ErrNoCred.Error()})
			continue
		}
		n, err := id(v.Text)
		if err != nil {
			fail(err)
			continue
		}
		if _, ok := m[n]; !ok {
			m[n] = key + " " + v.Text + place(v.Origin)
		}
	}
	return m
}

func userID(name string) (uint32, *ruleError) {
	if n, ok := number(name); ok {
		return n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		var unknown user.UnknownUserError
		if errors.As(err, &unknown) {
			return 0, &ruleError{says: `No such user "` + name + `"`, why: "write the name or the number of a user of this system"}
		}
		return 0, &ruleError{err: err}
	}
	return parsedID(u.Uid)
}

func groupID(name string) (uint32, *ruleError) {
	if n, ok := number(name); ok {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		var unknown user.UnknownGroupError
		if errors.As(err, &unknown) {
			return 0, &ruleError{says: `No such group "` + name + `"`, why: "write the name or the number of a group of this system"}
		}
		return 0, &ruleError{err: err}
	}
	return parsedID(g.Gid)
}

func parsedID(s string) (uint32, *ruleError) {
	n, ok := number(s)
	if !ok {
		return 0, &ruleError{why: "has no number on this system, but " + s}
	}
	return n, nil
}

// number reads a user's or group's number. The highest one is reserved for
// nobody.
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && uint32(n) != ^uint32(0)
}

// without returns the rules without those of users or groups.
func (u *unixRules) without(users, groups bool) *unixRules {
	if u == nil || !users && !groups {
		return u
	}
	v := unixRules{users: u.users, groups: u.groups}
	if users {
		v.users = nil
	}
	if groups {
		v.groups = nil
	}
	if len(v.users)+len(v.groups) == 0 {
		return nil
	}
	return &v
}
