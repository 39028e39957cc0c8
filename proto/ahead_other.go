//go:build !unix

package proto

func (a *ahead) initFill() {}

func (a *ahead) readSocket() (int, error) { return a.readPlain() }
