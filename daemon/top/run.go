package top

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"netserver/internal/control"
)

// Run shows what the server on the control socket does, anew after each
// interval, until its user has enough, ctx ends, or it has been shown count
// times; 0 is for ever. In a terminal, which standard input and stdout have to
// be, it takes the whole screen and keys, and the terminal is as it was when Run
// returns; elsewhere, with TERM=dumb in environ, with plainly set or for one time it
// writes lines. A server that does not answer the first time is an error, and one that
// ends later is waited for. The end of ctx is no error.
func Run(ctx context.Context, socket string, environ []string, interval time.Duration, count int, plainly bool, stdout io.Writer) error {
	ask := func(ctx context.Context, r *control.Request, each func(string, json.RawMessage) error) error {
		return control.Do(ctx, socket, r, each)
	}
	out, isFile := stdout.(*os.File)
	if plainly || count == 1 || dumb(environ) || !isFile || !term.IsTerminal(out.Fd()) || !term.IsTerminal(os.Stdin.Fd()) {
		return quiet(ctx, plainLines(ctx, ask, interval, count, stdout))
	}
	m, err := begin(ctx, ask, interval, count)
	if err != nil {
		return quiet(ctx, err)
	}
	return quiet(ctx, screen(ctx, m, environ, os.Stdin, out))
}

// begin asks for the first time.
func begin(ctx context.Context, ask asker, interval time.Duration, count int) (m model, err error) {
	m = model{ctx: ctx, ask: ask, interval: interval, count: count, width: 80, height: 24}
	s, err := fetch(ctx, ask)
	if err == nil {
		m.take(s, nil)
	}
	return m, err
}

// screen has the terminal until the model ends. The terminal is restored on every
// way out, panics in Update, View and commands included.
func screen(ctx context.Context, m tea.Model, environ []string, in, out *os.File) error {
	p := tea.NewProgram(m, tea.WithoutSignalHandler(), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ), tea.WithFPS(30))
	// Not by tea.WithContext, whose end does not wait for who reads keys.
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err := p.Run()
	return err
}

// quiet makes the end of ctx no error.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// dumb reports whether the terminal takes lines alone.
func dumb(environ []string) bool {
	name := ""
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "TERM="); ok {
			name = v
		}
	}
	return name == "dumb" || name == "" && runtime.GOOS != "windows"
}

// plainConns is how many clients a block of lines has.
const plainConns = 100

// plainLines writes a block of lines for each answer.
func plainLines(ctx context.Context, ask asker, interval time.Duration, count int, w io.Writer) error {
	var before *snapshot
	lost := false
	for n := 0; ; {
		s, err := fetch(ctx, ask)
		switch {
		case err != nil && (before == nil || ctx.Err() != nil):
			return err
		case err != nil && !lost:
			lost = true
			if _, err := fmt.Fprintf(w, "no answer, waiting: %s\n\n", plain(err.Error())); err != nil {
				return err
			}
		case err == nil:
			lost = false
			if _, err := io.WriteString(w, block(before, s)); err != nil {
				return err
			}
			before = s
			if n++; n == count {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

// block is everything about one answer.
func block(before, s *snapshot) string {
	r := ratesOf(before, s)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", s.at.Format(time.RFC3339))
	for _, text := range header(s, &r) {
		fmt.Fprintf(&b, "%s\n", text)
	}
	for _, t := range []table{portsTable(s), workersTable(s), limitsTable(s, false), targetsTable(s), certsTable(s), connsTable(s, 0, false, "")} {
		if len(t.rows) == 0 {
			continue
		}
		b.WriteByte('\n')
		for _, l := range t.lines(wide, 0, plainConns) {
			fmt.Fprintf(&b, "%s\n", l.text)
		}
	}
	b.WriteString("\n")
	return b.String()
}
