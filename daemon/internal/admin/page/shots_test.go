package page_test

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// busy is a server with something in each table.
func busy() state {
	s := quiet()
	s.write = true
	s.outcomes = map[string]map[string]int{}
	for port, list := range map[string]map[string]int{
		"0.0.0.0:993/ssl":   {"served": 1284113, "left": 90412, "alert": 312, "reset": 4411, "not tls": 2218, "no common version": 918, "over limit": 20931, "denied": 733, "hello timeout": 1204, "probe": 44120, "target failed": 17},
		"0.0.0.0:143/tcp":   {"served": 50114, "left": 7719, "probe": 88211, "idle timeout": 918, "over limit": 212},
		"[::]:995/ssl":      {"served": 9412, "left": 812, "bad certificate": 61, "no certificate": 118, "probe": 1201, "first byte timeout": 31},
		"/run/ns.sock|unix": {"served": 811},
	} {
		for o, n := range list {
			s.add(port, o, n)
		}
	}
	s.limits = object{
		"limits": []object{
			{"key": "max_connections", "port": "", "unit": "clients", "value": 19488, "use": 1840, "most": 980},
			{"key": "max_per_source", "port": "", "unit": "clients", "value": 50, "use": 50, "most": 50},
			{"key": "max_per_prefix", "port": "", "unit": "clients", "value": 1000, "use": 211, "most": 114},
			{"key": "max_handshakes", "port": "", "unit": "clients", "value": 14616, "use": 12, "most": 9},
			{"key": "max_memory", "port": "", "unit": "bytes", "value": 2 << 30, "use": 21 << 20, "most": 12 << 20},
			{"key": "timeout_hello", "port": "", "unit": "seconds", "value": 5, "use": nil, "most": nil},
		},
		"sources": []object{{"network": "203.0.113.9", "clients": 50}, {"network": "198.51.100.4", "clients": 37}, {"network": "2001:db8:4:1::/64", "clients": 22}, {"network": "198.51.100.77", "clients": 9}, {"network": "192.0.2.14", "clients": 4}},
	}
	s.refused = map[string]int{"max_per_source": 20411, "max_per_prefix": 732}
	s.targets = object{"targets": []object{
		{"backend": "imap", "target": "imap1.example.org:143", "address": "10.0.0.5:143", "state": "up", "reason": "", "since_seconds": 884211.0, "clients": 918, "connected": 4711, "failed": 1, "connect_seconds": 0.000312},
		{"backend": "imap", "target": "imap2.example.org:143", "address": "10.0.0.6:143", "state": "down", "reason": "check tcp: connection refused", "since_seconds": 312.5, "clients": 0, "connected": 4530, "failed": 17, "connect_seconds": 0.00041},
		{"backend": "imap", "target": "imap3.example.org:143", "address": "10.0.0.7:143", "state": "drained", "reason": "drained by ctl", "since_seconds": 51233.0, "clients": 4, "connected": 4402, "failed": 0, "connect_seconds": 0.000377},
		{"backend": "pop", "target": "10.0.0.9:110", "address": "10.0.0.9:110", "state": "up", "reason": "", "since_seconds": 884211.0, "clients": 61, "connected": 9412, "failed": 0, "connect_seconds": nil},
	}}
	s.certs = object{"certificates": []object{
		{"ports": []string{"0.0.0.0:993/ssl"}, "file": "/etc/netserver/mail.pem", "names": []string{"mail.example.org", "imap.example.org", "pop.example.org"}, "serial": "04:1f", "issuer": "R11, Let's Encrypt", "key": "ECDSA P-256", "not_after": "2027-01-31T10:00:00Z", "chain_not_after": "2027-03-12T23:59:59Z", "days_left": 63.2, "last_error": "", "acme": true},
		{"ports": []string{"[::]:995/ssl"}, "file": "/etc/netserver/legacy.pem", "names": []string{"pop.example.com"}, "serial": "77", "issuer": "Example Corp CA 2", "key": "RSA 2048", "not_after": "2026-12-05T08:00:00Z", "chain_not_after": "2026-12-05T08:00:00Z", "days_left": 5.8, "last_error": "", "acme": false},
		{"ports": []string{"0.0.0.0:993/ssl"}, "file": "/etc/netserver/www.pem", "names": []string{"www.example.com"}, "serial": "78", "issuer": "R10, Let's Encrypt", "key": "ECDSA P-256", "not_after": "2026-12-16T08:00:00Z", "chain_not_after": "2026-12-16T08:00:00Z", "days_left": 17.1, "last_error": "order: rate limited, next try in 2 h", "acme": true},
	}}
	s.boxed = []object{{"network": "203.0.113.80", "left_seconds": 211.0, "offences": 3, "processes": 2}, {"network": "2001:db8:77::/64", "left_seconds": 48.2, "offences": 1, "processes": 1}}
	s.clients = many(1840)
	s.status["generations"] = []object{generation(2, "ending", 12), generation(3, "serving", 1828)}
	s.pass()
	return s
}

// pass lets a second of a working day go by.
func (s *state) pass() {
	x := float64(s.second)
	flood := 0.0
	if s.second%300 > 190 && s.second%300 < 235 {
		flood = 1
	}
	wave := func(period, low, high float64) int {
		return int(low + (high-low)*(0.5+0.35*math.Sin(x/period)+0.15*math.Sin(x*1.7+math.Sin(x*0.9)*3)))
	}
	n := wave(60, 40, 74)
	s.add("0.0.0.0:993/ssl", "served", n)
	s.add("0.0.0.0:993/ssl", "left", wave(25, 1, 6))
	s.add("0.0.0.0:143/tcp", "served", wave(40, 2, 9))
	s.add("0.0.0.0:143/tcp", "probe", wave(9, 2, 5))
	s.add("0.0.0.0:993/ssl", "reset", wave(15, 1, 4))
	s.add("0.0.0.0:993/ssl", "no common version", wave(21, 0, 3))
	s.add("0.0.0.0:993/ssl", "hello timeout", wave(31, 0, 3)+int(flood*6))
	s.add("0.0.0.0:993/ssl", "denied", wave(19, 0, 3))
	s.add("0.0.0.0:993/ssl", "over limit", int(flood*float64(wave(7, 20, 44))))
	s.refused["max_per_source"] += int(flood * 30)
	for i := range n {
		s.shake(0.0017*math.Exp(0.35*math.Sin(float64(i*7919+s.second)))*(1+flood*0.4), 1)
	}
	s.shake(0.0071*(1+flood*1.2+0.2*math.Sin(x/13)), 2)
	clients := 1795 + int(70*math.Sin(x/140))
	s.status["clients"], s.status["in_handler"] = clients, clients-wave(11, 8, 30)
	s.status["handshakes"] = object{"unfinished": wave(11, 8, 30) + int(flood*180), "waiting": 2, "running": 2}
}

// TestScreenshots makes pictures to look at in the folder PAGE_SHOTS, if that is
// in the environment; those of docs/ are among them: overview-light-1440,
// conns-dark-900 and overview-light-400.
func TestScreenshots(t *testing.T) {
	if os.Getenv("PAGE_SHOTS") == "" {
		t.Skip("PAGE_SHOTS names no folder for pictures")
	}
	browser := browse(t)
	for _, size := range [][2]int64{{1440, 900}, {900, 1100}, {400, 860}} {
		for _, theme := range []string{"light", "dark"} {
			f := newFake(t, busy())
			p := open(t, browser, f.URL+"/", "", size[0], size[1], theme == "dark")
			f.awaitStreams(1)
			for range 320 {
				f.tick((*state).pass)
			}
			p.has("#t-limits", "max_per_source")
			p.run(chromedp.WaitVisible(chromedp.CSS("#charts canvas")))
			p.await("document.querySelector('.legend b').innerText !== '–'")
			name := fmt.Sprintf("%s-%d", theme, size[0])
			p.shot("overview-" + name)
			b, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			p.save("full-"+name, b)
			p.run(chromedp.Evaluate[chromedp.Void]("location.hash = 'connections'"))
			p.await("document.querySelectorAll('.rows .tr').length > 8")
			p.shot("conns-" + name)
			p.run(chromedp.Evaluate[chromedp.Void]("document.querySelectorAll('.rows .tr')[2].click()"))
			p.await("document.querySelector('dialog').open")
			p.shot("dialog-" + name)
		}
	}
}
