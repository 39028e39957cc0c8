package daemon

import "netserver/port"

type specType = port.Spec

// confine restricts what the worker may do to files.
func (w *worker) confine() error { return nil }

// placeOf identifies a port of a plan.
func placeOf(s port.Spec) string { return s.Proto + "|" + s.Host + "|" + s.Port + "|" + s.IPv }
