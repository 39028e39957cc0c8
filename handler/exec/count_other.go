//go:build !linux

package exec

type counted struct {
	in, out uint64
	ok      bool
}

// count: this system does not tell.
func count(stream) counted { return counted{} }
