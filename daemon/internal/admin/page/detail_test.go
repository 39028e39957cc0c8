package page_test

import (
	"slices"

	"github.com/chromedp/chromedp/kb"
)

// detailed is a server that tells all of each client.
func detailed() state {
	s := quiet()
	s.clients = many(40)
	s.detail = object{
		"stage": "handler", "stage_seconds": 12.487, "lane": "parked", "waits_for": "what the client sends",
		"times":     []object{{"part": "hello", "after_seconds": 0.000812}, {"part": "placed", "after_seconds": 0.0131}},
		"deadlines": []object{{"key": "timeout_idle", "why": "", "left_seconds": 26.99}, {"key": "", "why": "its handler", "left_seconds": 300}},
		"limits":    []object{{"key": "max_per_source", "port": true, "unit": "clients", "value": 14616, "use": 3}},
		"tls_facts": object{"version": "TLS 1.3", "cipher": "TLS_AES_128_GCM_SHA256", "group": "X25519MLKEM768", "alpn": "imap", "resumed": true},
		"via":       "", "child_pid": nil, "notes": []object{{"name": "route", "value": "imap"}},
	}
	return s
}

// detail shows all that is known of one connection, as it changes, and that it has
// ended.
func detail(f *fake, p *tab) {
	p.mu.Lock()
	p.fine = "(Bad Request)"
	p.mu.Unlock()
	p.await(rows + " > 10")
	p.focus(".rows .tr[tabindex='0']")
	p.press(kb.Enter)
	p.asked("Connection 5.1")
	const facts = "#dialog .details"
	for _, fact := range []string{
		"stage handler, for 12 s", "waits for what the client sends", "would end it timeout_idle in 26 s its handler in 5 min", "runs in parked", "after accept hello 812 µs placed 13 ms",
		"counts against max_per_source: 3 of 14,616 clients, of this port", "TLS agreed on TLS 1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768, ALPN imap, resumed", "notes route: imap",
	} {
		p.has(facts, fact)
	}
	if got := p.text(`[...document.querySelectorAll("#dialog dt")].map((e) => e.innerText).filter((n) => n === "through" || n === "program").join()`); got != "" {
		p.Errorf("facts without a value are shown: %s", got)
	}
	// What stays is not drawn again: a selection is not lost.
	p.text(`document.querySelector("#dialog dd").marked = true`)
	f.set(func(s *state) {
		s.detail = mapsClone(s.detail)
		s.detail["deadlines"], s.detail["waits_for"] = []object{{"key": "timeout_idle", "why": "", "left_seconds": 5}}, ""
	})
	p.has(facts, "would end it timeout_idle in 5 s")
	p.await(`![...document.querySelectorAll("#dialog dt")].some((e) => e.innerText === "waits for") && document.querySelector("#dialog dd").marked`)
	f.set(func(s *state) {
		s.clients = slices.DeleteFunc(slices.Clone(s.clients), func(c object) bool { return c["id"] == "5.1" })
	})
	p.has("#dialog .note", "no client 5.1")
	p.has(facts, "would end it timeout_idle in 5 s") // what was known last
	p.press(kb.Escape)
	p.await(`!document.getElementById("dialog").open`)
}
