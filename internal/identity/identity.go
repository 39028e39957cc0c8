package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// An Identity is what a process takes on before it meets strangers. The zero
// Identity changes nothing.
type Identity struct {
	Account    *Account // nil keeps the present one
	Chroot     string   // "" for none
	Umask      *fs.FileMode
	Limits     []Limit
	NoNewPrivs bool // no program that is executed gets more, setuid or not
}

// A Limit is one of the system's limits on a process, such as "nofile". Both
// bounds are set to Value; negative is no limit.
type Limit struct {
	Name  string
	Value int64
}

// A System is the calls that Become makes, in the order in which it makes
// them. Tests replace them; a nil System is the system itself. All act on the
// calling thread at least: Become must be followed by what childproc.Part.Hold
// returned.
type System struct {
	Umask      func(mask int)
	Limit      func(Limit) error
	Chroot     func(dir string) error // and changes to the new root
	DropBounds func() error           // no capability can be had by executing a file
	Setgroups  func([]int) error
	Setgid     func(gid int) error // real, effective and saved
	Setuid     func(uid int) error // the same
	DropCaps   func() error        // what is left of capabilities
	NoNewPrivs func() error
	Check      func(uid, gid int) error // that all of it is in force and there is no way back
}

// Become takes on the identity: limits first, then the root directory, groups,
// group and user, in the order that leaves each step the rights it needs. If a
// step fails the process must not go on: it may have done half of it.
func (id Identity) Become(sys *System) error {
	if sys == nil {
		sys = system()
	}
	if id.Umask != nil {
		sys.Umask(int(id.Umask.Perm()))
	}
	for _, l := range id.Limits {
		if err := sys.Limit(l); err != nil {
			return fmt.Errorf("limit %s %d: %w", l.Name, l.Value, err)
		}
	}
	if id.Chroot != "" {
		if err := sys.Chroot(id.Chroot); err != nil {
			return fmt.Errorf("chroot %s: %w", id.Chroot, err)
		}
	}
	if a := id.Account; a != nil {
		if err := id.become(a, sys); err != nil {
			return fmt.Errorf("become user %s (%d), group %d: %w", a.User, a.UID, a.GID, err)
		}
	}
	if id.NoNewPrivs {
		if err := sys.NoNewPrivs(); err != nil {
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	if a := id.Account; a != nil {
		if err := sys.Check(a.UID, a.GID); err != nil {
			return fmt.Errorf("become user %s (%d), group %d: %w", a.User, a.UID, a.GID, err)
		}
	}
	return nil
}

func (id Identity) become(a *Account, sys *System) error {
	step := func(what string, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	if a.UID != 0 {
		if err := step("capabilities", sys.DropBounds()); err != nil {
			return err
		}
	}
	if err := step("supplementary groups", sys.Setgroups(a.Groups)); err != nil {
		return err
	}
	if err := step("group", sys.Setgid(a.GID)); err != nil {
		return err
	}
	if err := step("user", sys.Setuid(a.UID)); err != nil {
		return err
	}
	if a.UID == 0 {
		return nil
	}
	return step("capabilities", sys.DropCaps())
}

// String says in one line what the process keeps and drops.
func (id Identity) String() string {
	var parts []string
	switch a := id.Account; {
	case a == nil:
		parts = append(parts, "keeps its user and groups")
	case a.UID == 0:
		parts = append(parts, fmt.Sprintf("stays root, group %d %v: it keeps every right", a.GID, a.Groups))
	default:
		parts = append(parts, fmt.Sprintf("user %s (%d), group %d, supplementary groups %v, no capabilities", a.User, a.UID, a.GID, a.Groups))
	}
	if id.Chroot != "" {
		parts = append(parts, "root directory "+id.Chroot)
	}
	if id.NoNewPrivs {
		parts = append(parts, "no new privileges")
	}
	if id.Umask != nil {
		parts = append(parts, fmt.Sprintf("umask %04o", id.Umask.Perm()))
	}
	for _, l := range id.Limits {
		if l.Value < 0 {
			parts = append(parts, "limit "+l.Name+" none")
			continue
		}
		parts = append(parts, fmt.Sprintf("limit %s %d", l.Name, l.Value))
	}
	return strings.Join(parts, "; ")
}

// IsZero reports whether the identity changes nothing.
func (id Identity) IsZero() bool {
	return id.Account == nil && id.Chroot == "" && id.Umask == nil && len(id.Limits) == 0 && !id.NoNewPrivs
}

// errWayBack is what Check finds if the old identity can be had again.
var errWayBack = errors.New("the former identity is still in reach")

// SetUmask sets this process's file mode mask.
func SetUmask(mask fs.FileMode) { system().Umask(int(mask.Perm())) }
