package identity

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"

	"netserver/conf"
)

// An Account is the user and the groups that a process runs as.
type Account struct {
	User   string // its name, or its number if it has none
	UID    int
	GID    int
	Groups []int // supplementary ones, GID among them
}

// ErrNoUser and ErrNoGroup are wrapped by LookupAccount's errors.
var (
	ErrNoUser  = errors.New("no such user")
	ErrNoGroup = errors.New("no such group")
)

// LookupAccount finds a user by name or number, and the groups named in
// groups, which commas or blanks part. The first of them becomes the group and
// all of them the supplementary ones. Without groups they are those that the
// user is a member of; a number without an entry then is an error, as nobody
// could tell its group.
func LookupAccount(name, groups string) (Account, error) {
	a, u, err := lookupUser(name)
	if err != nil {
		return Account{}, err
	}
	names := conf.Words(groups)
	if len(names) == 0 {
		if u == nil {
			return Account{}, fmt.Errorf("user %s is a number that has no entry; name its group too", name)
		}
		return a, a.groupsOf(u)
	}
	for _, n := range names {
		gid, err := lookupGroup(n)
		if err != nil {
			return Account{}, err
		}
		if !slices.Contains(a.Groups, gid) {
			a.Groups = append(a.Groups, gid)
		}
	}
	a.GID = a.Groups[0]
	return a, nil
}

func lookupUser(name string) (Account, *user.User, error) {
	if name == "" {
		return Account{}, nil, fmt.Errorf("%w: the name is empty", ErrNoUser)
	}
	u, err := user.Lookup(name)
	if err != nil {
		n, nerr := strconv.ParseUint(name, 10, 31)
		if nerr != nil {
			return Account{}, nil, fmt.Errorf("%w as %q", ErrNoUser, name)
		}
		if u, err = user.LookupId(name); err != nil {
			return Account{User: name, UID: int(n)}, nil, nil
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return Account{}, nil, fmt.Errorf("user %s has the id %q, which is no number: %w", name, u.Uid, errors.ErrUnsupported)
	}
	return Account{User: u.Username, UID: uid}, u, nil
}

// groupsOf fills in the groups that u is a member of.
func (a *Account) groupsOf(u *user.User) error {
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("user %s has the group id %q, which is no number", u.Username, u.Gid)
	}
	a.GID, a.Groups = gid, []int{gid}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != gid {
			a.Groups = append(a.Groups, n)
		}
	}
	return nil
}

func lookupGroup(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	}
	n, err := strconv.ParseUint(name, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w as %q", ErrNoGroup, name)
	}
	return int(n), nil
}
