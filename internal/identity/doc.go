// Package identity has who a process is: users and groups, root directory,
// capabilities, limits and umask, and what the owners and modes of files let
// another user do. Become gives up root for good.
//
// What a system does not have is refused with an error that wraps
// errors.ErrUnsupported, never left out.
//
// Of this module it imports conf and internal/place, in tests also
// internal/childproc. Start reading at Identity.Become (identity.go), then
// FileRights.Can (filerights_unix.go).
package identity
