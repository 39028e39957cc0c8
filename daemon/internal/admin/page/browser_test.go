package page_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"netserver/netservertest"
)

// browse starts a browser that the tests of the page share.
func browse(t *testing.T) context.Context {
	path := netservertest.Peer(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("lang", "en-US"), chromedp.Flag("font-render-hinting", "none"))
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// A tab is a page that is open, and what the browser says against it.
type tab struct {
	*testing.T
	ctx  context.Context
	base string
	fine string // a message that the test causes

	mu       sync.Mutex
	messages []string
	outside  []string
}

// open shows the page of a server in a tab of its own, with a window of the
// given size. At the end nothing may have been said on the console, no policy
// broken, and nothing asked of any other server.
func open(t *testing.T, browser context.Context, base, at string, width, height int64, dark bool) *tab {
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &tab{T: t, base: base}
	if err := chromedp.Listen(ctx, p.hear); err != nil { // opens the tab, which the timeout must not end
		t.Fatal(err)
	}
	var stop context.CancelFunc
	p.ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("PAGE_SHOTS") != "" {
			p.shot("failed")
		}
		stop()
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, m := range p.messages {
			t.Errorf("the browser says: %s", m)
		}
		for _, u := range p.outside {
			t.Errorf("the page asks for %s", u)
		}
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	p.run(chromedp.Navigate(base + at))
	return p
}

// hear notes what a page must not cause.
func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		p.messages = append(p.messages, text)
	case *runtime.EventConsoleAPICalled:
		p.messages = append(p.messages, fmt.Sprint(e.Type, e.Args))
	case *log.EventEntryAdded:
		// A stream that the server ends is part of some tests.
		if text := e.Entry.Text; !strings.Contains(text, "net::ERR_") && (p.fine == "" || !strings.Contains(text, p.fine)) {
			p.messages = append(p.messages, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, p.base) && !strings.HasPrefix(u, "data:") {
			p.outside = append(p.outside, u)
		}
	case *page.EventJavascriptDialogOpening:
		p.messages = append(p.messages, "a dialog: "+e.Message)
	}
}

func call[P, R any](p *tab, cmd cdp.Command[P, R], params P) R {
	p.Helper()
	r, err := chromedp.Call(p.ctx, cmd, params)
	if err != nil {
		p.Fatal(err)
	}
	return r
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatalf("%v; the browser says: %.1500s", err, p.said())
	}
}

// text evaluates an expression and returns what it comes to, as a string.
func (p *tab) text(expression string) string {
	p.Helper()
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return s
}

// await waits until an expression is true.
func (p *tab) await(expression string) {
	p.Helper()
	for {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err != nil {
			p.Fatalf("waiting for %s: %v; the browser says: %.1500s", expression, err, p.said())
		}
		if ok {
			return
		}
		select {
		case <-p.ctx.Done():
			p.Fatalf("waiting for %s: %v", expression, p.ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *tab) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.messages, "\n")
}

// has waits until an element shows a text, whatever its lines.
func (p *tab) has(selector, text string) {
	p.Helper()
	p.await(fmt.Sprintf("document.querySelector(%q)?.innerText.replace(/\\s+/g, ' ').includes(%q)", selector, text))
}

// press presses keys of the keyboard. What a key does when it goes down may take
// its text away, as with a real one.
func (p *tab) press(keys ...string) {
	p.Helper()
	for _, r := range strings.Join(keys, "") {
		all := kb.Encode(r)
		down, up := *all[0], *all[len(all)-1]
		if len(all) > 2 {
			down.Text, down.UnmodifiedText = all[1].Text, all[1].UnmodifiedText
		}
		call(p, input.DispatchKeyEvent, down)
		call(p, input.DispatchKeyEvent, up)
	}
}

// asked waits until the dialog is open and shows a text.
func (p *tab) asked(text string) {
	p.Helper()
	p.await(fmt.Sprintf("(d => d.open && d.innerText.includes(%q))(document.getElementById('dialog'))", text))
}

// aim takes down where an element is, once nothing is before it. What hits
// another one, since the page has moved meanwhile, is kept from it.
const aim = `(() => {
	const e = document.querySelector(%q);
	e?.scrollIntoView({ block: "center" });
	const r = e?.getBoundingClientRect();
	if (!r || !e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))) return false;
	for (const type of window.aim ? [] : ["mousedown", "mouseup", "click"]) window.addEventListener(type, (ev) => {
		if (!window.aim.armed) return;
		const hit = window.aim.e.contains(ev.target);
		if (hit) return window.aim.hit ||= type === "click";
		ev.preventDefault();
		ev.stopImmediatePropagation();
	}, true);
	window.aim = { e, armed: true, hit: false, spot: (r.x + r.width / 2) + " " + (r.y + r.height / 2) };
	return true;
})()`

// click clicks on an element with the mouse.
func (p *tab) click(selector string) {
	p.Helper()
	for {
		p.await(fmt.Sprintf(aim, selector))
		var x, y float64
		fmt.Sscan(p.text("window.aim.spot"), &x, &y)
		p.run(chromedp.MouseClickXY(x, y))
		if p.text("(window.aim.armed = false, window.aim.hit)") == "true" {
			return
		}
	}
}

// focus gives the focus to an element.
func (p *tab) focus(selector string) {
	p.Helper()
	p.await(fmt.Sprintf("(e => { e?.focus(); return e && document.activeElement === e; })(document.querySelector(%q))", selector))
}

// focused describes what has the focus.
func (p *tab) focused() string {
	p.Helper()
	return p.text(`(e => e.id || e.className || e.tagName)(document.activeElement)`)
}

// shot writes what is seen to a file, for looking at.
func (p *tab) shot(name string) {
	if b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot()); err == nil {
		p.save(name, b)
	}
}

// save writes a picture of at most 256 colours, which is all that the page has
// but for the edges of letters.
func (p *tab) save(name string, b []byte) {
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		p.Fatal(err)
	}
	uses := map[color.Color]int{}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			uses[m.At(x, y)]++
		}
	}
	var palette color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(uses), func(a, b color.Color) int { return uses[b] - uses[a] }) {
		if len(palette) < 256 && (len(palette) == 0 || !near(palette.Convert(c), c)) {
			palette = append(palette, c)
		}
	}
	few := image.NewPaletted(m.Bounds(), palette)
	draw.Draw(few, few.Bounds(), m, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("PAGE_SHOTS"), name+".png"), out.Bytes(), 0o600); err != nil {
		p.Fatal(err)
	}
}

// near tells whether two colours are about the same.
func near(a, b color.Color) bool {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	far := func(x, y uint32) bool { return max(x, y)-min(x, y) > 0x0a00 }
	return !far(r1, r2) && !far(g1, g2) && !far(b1, b2)
}
