// Package sandbox restricts this process for good: which files it reaches
// (Landlock), which system calls it makes (seccomp), and who may look into it
// (ptrace and /proc). Users, groups, capabilities and no_new_privs are
// internal/identity's.
//
// What a system does not have is refused with an error that wraps
// errors.ErrUnsupported, never left out.
//
// It imports nothing of this module, in tests internal/childproc. Start reading
// at Restrict (sandbox_linux.go) and RefuseCalls (seccomp_linux.go).
package sandbox
