//go:build !unix

package proto

import "errors"

func (a *ahead) initFill() {}

func (a *ahead) readSocket() (int, error) { return a.readPlain() }

func (a *ahead) canTry() bool { return false }

func (a *ahead) trySend([]byte) (int, error) { return 0, errors.ErrUnsupported }
