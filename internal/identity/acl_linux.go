package identity

import "golang.org/x/sys/unix"

// hasACL reports whether a list of users beyond owner and group says who may
// do what with a file.
func hasACL(path string) bool {
	n, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}
