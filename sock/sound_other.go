//go:build !linux

package sock

// mend finds nothing where nobody has looked how sockets are spoiled.
func mend(int, Request) ([]string, error) { return nil, nil }
