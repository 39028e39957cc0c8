package proto

import (
	"context"
	"net"
	"netserver/port"
)

type stub struct{}

func (stub) Network() string                                        { return "tcp" }
func (stub) Plain() bool                                            { return true }
func (stub) Ready(_ context.Context, nc net.Conn) (net.Conn, error) { return nc, nil }
func Builtin() map[string]Protocol {
	return map[string]Protocol{"tcp": func(port.Spec) (Transport, error) { return stub{}, nil }}
}
