//go:build !linux && !darwin && !freebsd

package access

const canCred = false

func peerCred(int) (*Cred, error) { return nil, ErrNoCred }
