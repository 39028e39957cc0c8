package page_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"netserver/daemon/internal/admin/page"
	"netserver/netservertest"
	"netserver/outcome"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

// TestFiles looks at the files for what would need another server, or a weaker
// policy than the page has.
func TestFiles(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\sstyle="|<style|javascript:|@import|setAttribute\("style|\son[a-z]+="`)
	allowed := "http://www.w3.org/2000/svg" // the name of a language, which nothing fetches
	names, err := fs.Glob(page.Files(), "*")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(page.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if m := forbidden.FindString(strings.ReplaceAll(line, allowed, "")); m != "" {
				t.Errorf("%s:%d has %q", name, i+1, m)
			}
		}
		for _, m := range regexp.MustCompile(`(?:from|src=|href=) ?"((?:\./|page/)[^"]+)"`).FindAllStringSubmatch(string(b), -1) {
			if _, err := fs.Stat(page.Files(), path.Base(m[1])); err != nil {
				t.Errorf("%s loads %s: %v", name, m[1], err)
			}
		}
	}
}

// TestOutcomes compares the page's table of outcomes with the engine's.
func TestOutcomes(t *testing.T) {
	b, err := fs.ReadFile(page.Files(), "outcomes.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range outcome.Names() {
		if !strings.Contains(string(b), "\n  \""+name+"\": [") {
			t.Errorf("outcomes.js does not know the outcome %q", name)
		}
	}
	if n := strings.Count(string(b), "\": ["); n != int(outcome.Count) {
		t.Errorf("outcomes.js has %d outcomes, the engine %d", n, outcome.Count)
	}
}

// TestPage runs the page in a browser.
func TestPage(t *testing.T) {
	browser := browse(t)
	show := func(t *testing.T, s state, at string, width int64) (*fake, *tab) {
		f := newFake(t, s)
		p := open(t, browser, f.URL+"/", at, width, 900, false)
		f.awaitStreams(1)
		p.has("#host", "mail-1.example.org") // it knows what it may do, which a tick shows
		f.tick(nil)
		p.has("#state", s.status["state"].(string))
		return f, p
	}
	for _, c := range []struct {
		name  string
		state func() state
		at    string
		width int64
		run   func(*fake, *tab)
	}{
		{"charts", quiet, "", 1280, charts},
		{"tables", busy, "", 1280, tables},
		{"narrow", busy, "", 400, narrow},
		{"bare", func() state { s := quiet(); s.bare = true; return s }, "", 1280, bare},
		{"hostile", hostile, "", 1280, hostileTexts},
		{"connections", func() state { s := quiet(); s.clients = many(10000); return s }, "#connections", 1280, connections},
		{"kill", func() state { s := quiet(); s.write, s.clients = true, many(40); return s }, "#connections", 1280, kill},
		{"detail", detailed, "#connections", 1280, detail},
		{"ban", busy, "", 1280, ban},
		{"read only", func() state { s := busy(); s.write = false; return s }, "", 1280, readOnly},
		{"keyboard", busy, "", 1280, keyboard},
		{"stale", quiet, "", 1280, stale},
		{"hidden", quiet, "#connections", 1280, hidden},
		{"draining", quiet, "", 1280, draining},
		{"theme", quiet, "", 1280, theme},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(show(t, c.state(), c.at, c.width)) })
	}
}

// charts shows traffic that the test makes, in numbers, text and pixels.
func charts(f *fake, p *tab) {
	for range 30 {
		f.tick(func(s *state) {
			s.add("0.0.0.0:993/ssl", "served", 40)
			s.add("0.0.0.0:993/ssl", "over limit", 20)
			s.shake(0.003, 39)
			s.shake(0.3, 1)
			s.status["clients"] = 250
		})
	}
	p.has("#c-outcomes .legend", "served 40")
	p.has("#c-outcomes .legend", "over a limit 20")
	p.has("#c-rate .legend", "accepted 60")
	p.has("#c-rate .legend", "handshakes 40")
	p.has("#c-open .legend", "open 250")
	p.has("#vitals", "Accepted 60")
	p.has("#vitals", "Refused 20")
	// Buckets are an eighth of a power of two wide.
	if got := p.text(`document.querySelector("#c-latency .legend b").innerText`); got != "2.9 ms" && got != "3.0 ms" {
		p.Errorf("the median is %s", got)
	}
	p.has("#c-latency .plot + .legend", "99th percentile 3")
	// The colours of both outcomes are there, and in proportion.
	var served, limited int
	fmt.Sscan(p.text(`(() => {
		const c = document.querySelector("#c-outcomes canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		const css = getComputedStyle(document.documentElement);
		return ["--g-served", "--g-limit"].map((name) => {
			const [r, g, b] = [1, 3, 5].map((i) => parseInt(css.getPropertyValue(name).trim().slice(i, i + 2), 16));
			let n = 0;
			for (let i = 0; i < d.length; i += 4) if (d[i] === r && d[i + 1] === g && d[i + 2] === b && d[i + 3] === 255) n++;
			return n;
		}).join(" ");
	})()`), &served, &limited)
	if served < 500 || limited < 200 || served < limited*3/2 || served > limited*3 {
		p.Errorf("the chart of outcomes has %d pixels of served and %d of limits", served, limited)
	}
	// The keyboard reads a moment, and a table says the same.
	p.focus("#c-outcomes .plot")
	p.press(kb.ArrowLeft, kb.ArrowLeft, kb.ArrowLeft)
	p.await(`document.querySelector("#c-outcomes .plot").getAttribute("aria-valuetext").startsWith("3 seconds ago: served 40,")`)
	p.click("#c-outcomes summary")
	p.has("#c-outcomes tbody", "40")
	// A quiet minute later the rates are zero.
	for range 70 {
		f.tick(nil)
	}
	p.has("#c-outcomes .legend", "served 0")
	p.has("#vitals", "Accepted 0")
}

// tables looks for what an operator wants to see at a glance.
func tables(f *fake, p *tab) {
	for range 3 {
		f.tick(func(s *state) { s.refused["max_per_source"] += 7 })
	}
	for selector, want := range map[string]string{
		"#attention":           "Certificate of pop.example.com ends in 5 days",
		"#t-ports":             "0.0.0.0:993/ssl",
		"#t-outcomes":          "refused at accept, for what its source or network has",
		"#t-limits":            "in shadow: 31",
		"#t-tls":               "X25519MLKEM768",
		"#t-sources":           "2001:db8:4:1::/64",
		"#t-certs":             "order: rate limited",
		"#t-targets":           "check tcp: connection refused",
		"#t-workers":           "waits for 12 clients",
		"#t-penalties":         "203.0.113.80",
		"#leaving":             "Old generation 2 ends when its clients have left. 12 of 12 clients",
		"#host":                "mail-1.example.org",
		"#version":             "2.4.0",
		"#t-certs tbody td":    "5 days",
		"#t-limits tbody tr":   "max_per_source",
		"#t-targets tbody":     "drained by ctl",
		"#vitals":              "Next certificate ends 5 days",
		"#t-workers thead":     "Worker",
		"#t-outcomes thead th": "Outcome",
	} {
		p.has(selector, want)
	}
	p.has("#attention", "max_per_source refused 21 clients in the last minute")
	p.has("#attention", "Backend imap: 1 target down, 1 up")
	// Each header of a table belongs to a column, each first cell to a row.
	if bad := p.text(`[...document.querySelectorAll("table")].filter((t) => !t.caption || t.querySelector("thead th:not([scope=col]), tbody tr > :first-child:not(th[scope=row])")).length`); bad != "0" {
		p.Errorf("%s tables lack a caption or the scope of headers", bad)
	}
}

// narrow: nothing reaches beyond a window of 400 pixels.
func narrow(f *fake, p *tab) {
	p.has("#t-penalties", "203.0.113.80")
	for _, view := range []string{"overview", "connections"} {
		p.text(`location.hash = "` + view + `"`)
		p.await(`!document.getElementById("view-` + view + `").hidden && (location.hash === "#overview" || document.querySelector(".rows .tr"))`)
		if got := p.text(`document.documentElement.scrollWidth`); got != "400" {
			p.Errorf("%s is %s pixels wide", view, got)
		}
		if got := p.text(`[...document.querySelectorAll("main .table > .scroll, main .grid-scroll")].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.getAttribute("aria-label") ?? e.id).join(", ")`); got != "" {
			p.Errorf("of %s, not all columns are seen", got)
		}
	}
}

// bare: a server that only knows its status is shown too.
func bare(f *fake, p *tab) {
	for range 5 {
		f.tick(func(s *state) { s.add("0.0.0.0:993/ssl", "served", 4) })
	}
	p.has("#c-outcomes .legend", "served 4")
	p.has("#c-latency .legend", "median –")
	p.has("#t-certs", "No certificates.")
	p.has("#attention", "Nothing.")
}

// stale: a stream that ends is noticed, said, and opened again.
func stale(f *fake, p *tab) {
	f.set(func(s *state) { s.version = "2.5.0" })
	f.dropStreams()
	p.has("#stale", "No answer from the server. What is shown is of ")
	p.has("#announce", "The server does not answer.")
	f.awaitStreams(1)
	f.tick(nil)
	p.await(`document.getElementById("stale").hidden`)
	p.has("#announce", "The server answers again.")
	p.has("#updated", "The server has another version now.")
}

// hidden: a tab that nobody sees has no stream and asks for nothing.
func hidden(f *fake, p *tab) {
	hide := func(on bool) {
		p.text(fmt.Sprintf(`Object.defineProperty(document, "hidden", {configurable: true, get: () => %v}) && document.dispatchEvent(new Event("visibilitychange"))`, on))
	}
	hide(true)
	f.awaitStreams(0)
	before := f.requests("/events") // others may still be on their way
	timers := p.text(`(() => { let n = 0; const real = window.fetch; window.fetch = (...a) => { n++; return real(...a); }; window.asked = () => n; return n; })()`)
	if timers != "0" {
		p.Error(timers)
	}
	hide(true)
	if after := f.requests("/events"); after != before || p.text("asked()") != "0" {
		p.Errorf("%d streams of a hidden page, and %s requests", after-before, p.text("asked()"))
	}
	hide(false)
	f.awaitStreams(1)
	f.tick(nil)
	p.await(`document.getElementById("stale").hidden && asked() > 0`)
}

// draining: how far the end of the server has come is shown and said.
func draining(f *fake, p *tab) {
	f.tick(func(s *state) { s.status["state"], s.status["clients"] = "ending", 8 })
	p.has("#leaving", "8 of 8 clients still connected")
	p.has("#state", "draining")
	p.has("#announce", "The server is draining.")
	f.tick(func(s *state) { s.status["clients"] = 2 })
	p.has("#leaving", "2 of 8 clients still connected")
	p.await(`document.getElementById("leaving-bar").value === 0.75`)
	f.tick(func(s *state) { s.status["state"] = "serving" })
	p.await(`document.getElementById("leaving").hidden`)
}

// theme: the choice of a theme lasts, and the third brings the system's back.
func theme(f *fake, p *tab) {
	background := func() string { return p.text(`getComputedStyle(document.body).backgroundColor`) }
	system := background()
	p.click("#theme")
	p.has("#theme", "light")
	p.click("#theme")
	p.has("#theme", "dark")
	dark := background()
	if dark == system {
		p.Errorf("both themes are %s", dark)
	}
	p.run(chromedp.Reload())
	p.has("#theme", "dark")
	if got := background(); got != dark {
		p.Errorf("after a reload the page is %s instead of %s", got, dark)
	}
	p.click("#theme")
	p.has("#theme", "auto")
	if got := background(); got != system {
		p.Errorf("the system's theme is %s instead of %s", got, system)
	}
}

// keyboard walks through the page: each stop is seen, and in the order of the
// page.
func keyboard(f *fake, p *tab) {
	p.has("#t-penalties", "203.0.113.80")
	p.press(kb.Tab)
	if got := p.focused(); got != "skip" {
		p.Errorf("the first stop is %s", got)
	}
	seen, last := map[string]bool{}, ""
	for range 80 {
		p.press(kb.Tab)
		if last = p.focused(); last == "BODY" {
			break
		}
		seen[last] = true
		if p.text(`(() => { const e = document.activeElement, s = getComputedStyle(e), t = e.closest("label")?.querySelector("span"); return s.outlineStyle !== "none" || (t && getComputedStyle(t).outlineStyle !== "none"); })()`) != "true" {
			p.Errorf("%s has the focus and does not show it", last)
		}
	}
	for _, want := range []string{"nav-overview", "nav-connections", "theme", "plot", "scroll", "small", "ban"} {
		if !seen[want] {
			p.Errorf("the keyboard does not reach %s", want)
		}
	}
	if last != "BODY" {
		p.Errorf("the keyboard does not leave the page: it is at %s", last)
	}
	// A link moves the focus to what it shows.
	p.focus("#nav-connections")
	p.press(kb.Enter)
	p.await(`document.activeElement.id === "main" && !document.getElementById("view-connections").hidden`)
	if got := p.text(`document.querySelector("[aria-current]").id`); got != "nav-connections" {
		p.Errorf("%s is the current view", got)
	}
}

// wheel turns the mouse's wheel above an element.
func (p *tab) wheel(selector string, by float64) {
	p.Helper()
	at := func(axis string) float64 {
		v, err := strconv.ParseFloat(p.text(fmt.Sprintf(`(r => r.%s)(document.querySelector(%q).getBoundingClientRect())`, axis, selector)), 64)
		if err != nil {
			p.Fatal(err)
		}
		return v
	}
	call(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: "mouseWheel", X: at("x") + 50, Y: at("y") + 50, DeltaX: 0.01, DeltaY: by})
}
