package page_test

import (
	"fmt"
	"strings"

	"github.com/chromedp/chromedp/kb"
)

const rows = `document.querySelectorAll(".rows .tr").length`

// seen is whether there are rows where the list is.
const seen = `[...document.querySelectorAll(".rows .tr")].some((r) => Math.abs(r.getBoundingClientRect().top - document.getElementById("conns").getBoundingClientRect().top) < 60)`

// first is the text of the first row in a column.
func first(column string) string {
	return fmt.Sprintf(`document.querySelector(".rows .tr[aria-rowindex='2'] .c-%s").innerText`, column)
}

// connections lists ten thousand: few are in the document, and all are reached.
func connections(f *fake, p *tab) {
	p.has("#conns-note", "10,000 connections")
	if got := f.requests("/api/conns"); got != 4 {
		p.Errorf("%d requests for four pages", got)
	}
	p.await(rows + " > 10 && " + rows + " < 60")
	if got := p.text(`document.querySelector(".grid").getAttribute("aria-rowcount")`); got != "10001" {
		p.Errorf("the grid says that it has %s rows", got)
	}
	// Scrolling draws what is seen, at once.
	p.wheel("#conns", 60000)
	p.await(`document.getElementById("conns").scrollTop > 20000 && ` + seen)
	p.await(rows + " < 60")
	// Search: all words, in any field.
	search := func(text, want string) {
		p.text(`document.getElementById("search").focus() ?? document.getElementById("search").select()`)
		p.press(text)
		p.has("#conns-note", want)
	}
	search("198.51.100.8: mail", "connections match")
	p.await(rows + " > 0 && " + rows + " < 60")
	search("no such client", "0 of 10,000 connections match")
	p.await(rows + " === 0")
	p.text(`document.getElementById("search").select()`)
	p.press(kb.Backspace)
	p.has("#conns-note", "10,000 connections")
	// Sort: by numbers the highest first, by text from A, and the other way.
	p.click(".head-row .c-bytes_out button")
	p.await(first("bytes_out") + ` === "8.6 MiB"`)
	p.click(".head-row .c-bytes_out button")
	p.await(first("bytes_out") + ` === "0 B"`)
	if got := p.text(`document.querySelector("[aria-sort]").className + document.querySelector("[aria-sort]").getAttribute("aria-sort")`); !strings.HasPrefix(got, "c-bytes_out") || !strings.HasSuffix(got, "ascending") {
		p.Errorf("the header says %s", got)
	}
	p.click(".head-row .c-peer button")
	p.await(first("peer") + `.startsWith("198.51.100.0:")`)
	// The keyboard goes to the last row, and back.
	p.focus(".rows .tr[tabindex='0']")
	p.press(kb.End)
	p.await(`document.activeElement.getAttribute("aria-rowindex") === "10001"`)
	p.press(kb.PageUp, kb.ArrowDown)
	p.await(`+document.activeElement.getAttribute("aria-rowindex") < 10000`)
	p.press(kb.Home)
	p.await(`document.activeElement.getAttribute("aria-rowindex") === "2"`)
	// The wheel moves on, and the row that has the focus keeps it.
	p.wheel("#conns", 9000)
	p.await(`document.getElementById("conns").scrollTop > 5000 && document.activeElement.getAttribute("aria-rowindex") === "2"`)
	p.press(kb.Enter)
	p.await(`document.getElementById("dialog").open`)
	p.asked("198.51.100.0:")
	// So it does when the list is drawn anew meanwhile, which it is each second.
	p.text(`document.getElementById("conns").scrollTop += 20000`)
	p.await(seen)
	p.press(kb.Escape)
	p.await(`!document.getElementById("dialog").open && document.activeElement.getAttribute("aria-rowindex") === "2"`)
	// In the other view nothing is read.
	p.text(`location.hash = "overview"`)
	p.await(`document.getElementById("view-connections").hidden`)
}

// kill ends a connection with the keyboard alone, after a question, and shows
// what the server says against it.
func kill(f *fake, p *tab) {
	p.mu.Lock()
	p.fine = "(Forbidden)"
	p.mu.Unlock()
	p.await(rows + " > 10")
	p.focus(".rows .tr[tabindex='0']")
	p.press(kb.ArrowDown, kb.Delete)
	p.asked("End connection 6.2?")
	if got := p.text(`document.activeElement.innerText`); got != "Cancel" {
		p.Errorf("the focus is on %s", got)
	}
	p.press(kb.Escape)
	p.await(`!document.getElementById("dialog").open && document.activeElement.getAttribute("aria-rowindex") === "3"`)
	f.set(func(s *state) { s.refuse = "no client 6.2\u202e<b>" })
	p.press(kb.Enter)
	p.asked("Connection 6.2")
	p.press(kb.Tab, kb.Tab, kb.Enter)
	p.asked("End connection 6.2?")
	p.press(kb.Tab, kb.Enter)
	p.has("#dialog-error", "no client 6.2\ufffd<b>")
	if got := f.commands(); len(got) != 0 {
		p.Errorf("done: %q", got)
	}
	f.set(func(s *state) { s.refuse = "" })
	p.click("#dialog-buttons .danger")
	p.await(`!document.getElementById("dialog").open`)
	p.has("#announce", "Connection 6.2 was ended.")
	p.has("#conns-note", "39 connections")
	if got := f.commands(); len(got) != 1 || got[0] != "kill 6.2" {
		p.Errorf("done: %q", got)
	}
}

// ban puts a network into the penalty box, and takes it out.
func ban(f *fake, p *tab) {
	p.has("#t-sources", "203.0.113.9")
	p.click("#t-sources button")
	p.asked("Ban a network")
	p.text(`document.getElementById("ban-time").value = 3600`)
	p.click("#dialog-buttons .danger")
	p.await(`!document.getElementById("dialog").open`)
	p.click("#ban")
	p.await(`document.activeElement.id === "ban-network"`)
	p.press("192.0.2.0/24", kb.Enter)
	p.await(`!document.getElementById("dialog").open && document.activeElement.id === "ban"`)
	p.click("#t-penalties button")
	p.asked("Lift the penalty?")
	p.text(`document.querySelectorAll("#dialog-buttons button")[1].click()`)
	p.has("#announce", "203.0.113.80 was taken out of the penalty box.")
	if got := strings.Join(f.commands(), ", "); got != "ban 203.0.113.9 3600, ban 192.0.2.0/24 600, lift 203.0.113.80" {
		p.Errorf("done: %s", got)
	}
}

// readOnly has nothing that could be pressed to change something.
func readOnly(f *fake, p *tab) {
	p.has("#t-penalties", "203.0.113.80")
	if got := p.text(`[...document.querySelectorAll("main button")].filter((b) => b.checkVisibility()).map((b) => b.innerText).join()`); got != "" {
		p.Errorf("there are buttons: %s", got)
	}
	p.text(`location.hash = "connections"`)
	p.await(rows + " > 10")
	p.focus(".rows .tr[tabindex='0']")
	p.press(kb.Delete, kb.Enter)
	p.asked("Connection 5.1")
	if got := p.text(`document.getElementById("dialog-buttons").innerText`); got != "Close" {
		p.Errorf("the details have the buttons %q", got)
	}
}
