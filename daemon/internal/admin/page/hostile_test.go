package page_test

import (
	"fmt"
	"strings"
)

// nasty are texts as strangers write them into server names, certificates and
// paths.
var nasty = []string{
	`<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`,
	`"><svg/onload=alert(1)>`, `javascript:alert(1)`, `{{7*7}}${7*7}`,
	"a\u202egnp.exe\u2066b\u200fc", "\x1b[31mred\x1b]0;owned\x07\x00\x08\x7f\u009b2J", "line\r\nbreak\u2028\u2029",
	"z" + strings.Repeat("\u0301\u0489", 300), strings.Repeat("w", 10<<10), strings.Repeat("<b>", 4000),
	"\ufeff\u200b\U000e0041tag\ufffe", "__proto__", "constructor", "مرحبا שלום", "👩\u200d💻",
}

// hostile is a server with such a text wherever one may stand.
func hostile() state {
	s := quiet()
	s.write = true
	all := func(i int) string { return nasty[i%len(nasty)] }
	s.version = nasty[0]
	var sources, limits, targets, certs []object
	for i := range nasty {
		port := all(i)
		s.add(port, "served", i)
		s.add(port, all(i+1), 1)
		sources = append(sources, object{"network": all(i), "clients": 1})
		limits = append(limits, object{"key": all(i), "port": all(i + 1), "unit": all(i + 2), "value": 5, "use": 5, "most": 5})
		targets = append(targets, object{"backend": all(i), "target": all(i + 1), "address": all(i + 2), "state": all(i + 3), "reason": all(i + 4), "since_seconds": 1, "clients": 1})
		certs = append(certs, object{"names": []string{all(i), all(i + 1), all(i + 2)}, "file": all(i + 3), "issuer": all(i + 4), "key": all(i + 5), "days_left": float64(i), "not_after": all(i), "chain_not_after": all(i), "last_error": all(i + 6)})
		s.boxed = append(s.boxed, object{"network": all(i), "left_seconds": 4, "offences": 1})
		s.clients = append(s.clients, object{
			"id": fmt.Sprintf("1.%d", i) + all(i), "worker": 1, "port": all(i), "peer": all(i + 1), "peer_name": all(i + 2), "tls": all(i + 3), "server_name": all(i + 4), "stage": all(i + 5), "doing": all(i + 6), all(i + 7): all(i + 8),
			"since": all(i), "connected_seconds": 1.5, "bytes_in": 1, "bytes_out": 2, "idle_seconds": nil,
		})
	}
	s.detail = object{
		"stage_seconds": 4, "waits_for": nasty[0], "lane": nasty[4], "route": nasty[8], "identity": nasty[5], "verdict": object{nasty[0]: nasty[4]}, "child_pid": nasty[7],
		"deadlines": []any{nasty[0], nil, object{"key": nasty[0], "why": nasty[4], "left_seconds": nasty[1]}, object{"key": nasty[9]}},
		"times":     nasty[4], "limits": []any{object{"key": nasty[4], "unit": nasty[5], "value": nasty[0], "use": -1}, []string{nasty[0]}},
		"notes":     []any{object{"name": nasty[11], "value": nasty[0]}, object{"name": nasty[10], "value": nasty[8]}},
		"tls_facts": object{"version": nasty[0], "cipher": nasty[4], "group": []string{nasty[5]}, "alpn": nasty[10], "resumed": nasty[0]},
	}
	s.limits = object{"limits": limits, "sources": sources}
	s.targets, s.certs = object{"targets": targets}, object{"certificates": certs}
	s.status["silent"] = []object{{"worker": nasty[0], "pid": nasty[4], "seconds": nasty[5]}}
	return s
}

// hostileTexts: whatever texts say, they are texts.
func hostileTexts(f *fake, p *tab) {
	f.tick(nil)
	harmless := func(where string) {
		p.Helper()
		if got := p.text(`document.querySelectorAll("img, script:not([src^='page/']), iframe, b b, main svg").length`); got != "0" {
			p.Errorf("%s: %s elements were made of texts", where, got)
		}
		// Nothing hidden is left in the document, nor anything that turns the
		// direction of what is beside it.
		bad := p.text(`(() => {
			const found = [], all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
			const never = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e0fff}]/u;
			for (let n = all.nextNode(); n; n = all.nextNode()) {
				if (never.test(n.data) || n.data.length > 1100) found.push(n.parentNode.tagName + " " + escape(n.data.slice(0, 60)));
			}
			for (const e of document.querySelectorAll("[title], [aria-label], [aria-valuetext]")) {
				for (const a of ["title", "aria-label", "aria-valuetext"]) if (never.test(e.getAttribute(a) ?? "")) found.push(a + escape(e.getAttribute(a).slice(0, 60)));
			}
			return found.slice(0, 5).join("; ");
		})()`)
		if bad != "" {
			p.Errorf("%s: %s", where, bad)
		}
		if got := p.text(`document.title`); !strings.HasSuffix(got, "netserver") {
			p.Errorf("%s: the title is %q", where, got)
		}
		if got := p.text(`document.documentElement.scrollWidth`); got != "1280" {
			p.Errorf("%s: the page is %s pixels wide", where, got)
		}
	}
	p.has("#t-penalties", "javascript:alert(1)")
	p.has("#t-certs", "<img src=x")
	p.has("#t-targets", "a\ufffdgnp.exe\ufffdb\ufffdc")
	harmless("overview")
	p.text(`location.hash = "connections"`)
	p.await(rows + " > 10")
	p.has("#conns", "<img src=x")
	harmless("connections")
	for i := range 3 {
		p.text(fmt.Sprintf(`document.querySelectorAll(".rows .tr")[%d].click()`, i*4))
		p.await(`document.getElementById("dialog").open`)
		p.has("#dialog .details", "would end it <img src=x") // the server's answer is there
		harmless("details")
		p.text(`document.querySelector("#dialog-buttons .danger").click()`)
		p.asked("End connection")
		harmless("confirmation")
		p.text(`document.getElementById("dialog").close()`)
	}
}
