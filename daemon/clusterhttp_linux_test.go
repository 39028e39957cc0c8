package daemon_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// A node orders by HTTP-01; the authority comes to another one, which answers by
// HTTP. All three serve the certificate, of one order.
func TestClusterAnswersByHTTP(t *testing.T) {
	t.Parallel()
	web, conf := webPort(t)
	p := startPebble(t, quarter, conf)
	shared, store := sharedDir(t, "1")
	dir := openDir(t)
	node := func(name, web string) (*running, *pebble) {
		own := &pebble{directory: p.directory, caFile: p.caFile, control: p.control, client: p.client, port: freePort(t)}
		if name != "a" {
			delayed(t, filepath.Join(dir, name), "a.example")
		}
		r := start(t, append(own.byHTTP(t, dir, name, "127.0.0.1:"+web, "acme_domains = 'a.example'"), append(shared[:len(shared):len(shared)], "--cluster_name", name)...)...)
		r.wait("acme: there is no certificate for a.example yet", 1)
		return r, own
	}
	b, atB := node("b", web)
	c, atC := node("c", freePort(t))
	netservertest.Eventually(t, "b and c are nodes", func() bool {
		list, err := filepath.Glob(store + "/*/*")
		return err == nil && strings.Count(fmt.Sprint(list), "acme") >= 2
	})
	a, atA := node("a", freePort(t))
	issued := atA.awaitIssued(t, "a.example", nil)
	a.wait(obtained, 1)
	for _, n := range []struct {
		*running
		at *pebble
	}{{b, atB}, {c, atC}} {
		n.wait("acme: certificate for a.example taken from node a", 1)
		netservertest.Eventually(t, "it is served", func() bool { k, err := n.at.shown("a.example"); return err == nil && k.Equal(issued) })
	}
	b.wait("challenge answered", 1)
	for _, r := range []*running{a, c} {
		if strings.Contains(r.text(), "challenge answered") {
			t.Error("the authority came to another node")
		}
	}
	if n := strings.Count(p.text(), "Added order"); n != 1 {
		t.Errorf("%d orders", n)
	}
}
