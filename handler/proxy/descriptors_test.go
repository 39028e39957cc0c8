package proxy_test

import (
	"testing"

	"netserver"
	"netserver/handler/proxy"
	"netserver/proto"
)

// The connection to a target is a descriptor too: without it in the default of
// max_connections, clients would be let in that cannot be connected.
func TestDescriptors(t *testing.T) {
	d, ok := netserver.HandlerAs[proto.Descriptors](netserver.Handler(&proxy.Handler{Target: "127.0.0.1:9"}))
	if !ok || d.Descriptors() != 1 {
		t.Errorf("%v, %v", d, ok)
	}
}
