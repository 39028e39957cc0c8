package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Defaults of a Check.
const (
	defaultCheckInterval = 10 * time.Second
	defaultCheckTimeout  = 2 * time.Second
	defaultRise          = 2
	defaultFall          = 3
)

// maxCheckAnswer is how many bytes of an answer a check reads.
const maxCheckAnswer = 64 << 10

// A Check is how the targets of a Backend are checked.
type Check struct {
	Kind CheckKind
	// Method, Host and Path are the request of CheckHTTP: GET if empty, the
	// target's host, and /. Status is which answers are good, the lowest and the
	// highest: 200 to 399 if zero.
	Method, Host, Path string
	Status             [2]int
	// Send is what CheckExpect sends, if anything, and Expect is what has to be
	// in the first 64 KiB of the answer.
	Send, Expect string
	// Interval is the time between two checks of a target, within a tenth of it,
	// and a quarter of it while they say something else than before. Default
	// 10 s. Timeout bounds a check as a whole; default 2 s.
	Interval, Timeout time.Duration
	// Rise is how many checks in a row have to succeed for a target that is down
	// to come back, Fall how many have to fail for one that is up to go down.
	// Default 2 and 3. The first check of a target decides alone.
	Rise, Fall int
}

// A CheckKind is what a Check does.
type CheckKind uint8

// The kinds of checks. All begin with the steps of a client's connection:
// CheckTCP with the connection and the PROXY header, the others with all of
// them.
const (
	CheckOff    CheckKind = iota
	CheckTCP              // connects
	CheckTLS              // does a TLS handshake, whose certificate counts if Backend.TLS verifies it
	CheckHTTP             // sends a request and reads the status of the answer
	CheckExpect           // sends Send and reads until Expect has come
)

var checkNames = [...]string{"off", "tcp", "tls", "http", "expect"}

const checkForms = `write off, tcp, tls, "http GET /path 200", or "expect TEXT" or "send TEXT expect TEXT", with quotes around a TEXT with spaces or escapes like \r\n`

// ParseCheck parses a check as the key has it: off, tcp, tls, "http GET /health
// 200", "expect +OK", `send "PING\r\n" expect +PONG`. A status may be a range,
// 200-299, or be left out.
func ParseCheck(s string) (Check, error) {
	c, err := parseCheck(s)
	if err != nil {
		return Check{}, fmt.Errorf("check %s: %w", printable(s), err)
	}
	return c, nil
}

func parseCheck(s string) (Check, error) {
	kind, rest := nextWord(s)
	switch kind {
	case "off", "0":
		return Check{}, onlyWord(rest)
	case "tcp":
		return Check{Kind: CheckTCP}, onlyWord(rest)
	case "tls":
		return Check{Kind: CheckTLS}, onlyWord(rest)
	case "http":
		return parseHTTPCheck(rest)
	case "send", "expect":
		return parseExpect(s)
	}
	return Check{}, errors.New(checkForms)
}

func nextWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimSpace(s), " ")
	return word, strings.TrimSpace(rest)
}

func onlyWord(rest string) error {
	if rest != "" {
		return fmt.Errorf("nothing may follow: %s", checkForms)
	}
	return nil
}

func parseHTTPCheck(s string) (Check, error) {
	c := Check{Kind: CheckHTTP}
	words := strings.Fields(s)
	if len(words) < 2 || len(words) > 3 {
		return c, errors.New(checkForms)
	}
	c.Method, c.Path = words[0], words[1]
	if c.Method != http.MethodGet && c.Method != http.MethodHead && c.Method != http.MethodOptions {
		return c, fmt.Errorf("the method is GET, HEAD or OPTIONS, not %s", printable(c.Method))
	}
	if rest, ok := strings.CutPrefix(c.Path, "http://"); ok { // with the host to ask for
		path := ""
		c.Host, path, _ = strings.Cut(rest, "/")
		c.Path = "/" + path
	}
	if _, err := url.ParseRequestURI(c.Path); err != nil || !strings.HasPrefix(c.Path, "/") {
		return c, fmt.Errorf("%s is not a path: it begins with /", printable(c.Path))
	}
	if len(words) == 3 {
		low, high, isRange := strings.Cut(words[2], "-")
		if !isRange {
			high = low
		}
		var err1, err2 error
		c.Status[0], err1 = strconv.Atoi(low)
		c.Status[1], err2 = strconv.Atoi(high)
		if err1 != nil || err2 != nil || c.Status[0] < 100 || c.Status[1] > 599 || c.Status[0] > c.Status[1] {
			return c, fmt.Errorf("%s is not a status: write 200 or 200-399", printable(words[2]))
		}
	}
	return c, nil
}

func parseExpect(s string) (c Check, err error) {
	c.Kind = CheckExpect
	word, rest := nextWord(s)
	if word == "send" {
		if c.Send, rest, err = text(rest); err != nil {
			return c, err
		}
		word, rest = nextWord(rest)
	}
	if word != "expect" {
		return c, errors.New(checkForms)
	}
	if c.Expect, rest, err = text(rest); err != nil {
		return c, err
	}
	if rest != "" {
		return c, fmt.Errorf("%s stands after the text: put quotes around a text with spaces", printable(rest))
	}
	return c, nil
}

// text takes a word or a quoted string from s.
func text(s string) (_, rest string, err error) {
	word, rest := nextWord(s)
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", errors.New("a text that begins with a quote has to end with one")
		}
		rest = strings.TrimSpace(s[len(quoted):])
		if word, err = strconv.Unquote(quoted); err != nil {
			return "", "", err
		}
	}
	if word == "" || len(word) > 1024 {
		return "", "", errors.New("a text has 1 to 1024 bytes: " + checkForms)
	}
	return word, rest, nil
}

// check reports a Check that no text would have given.
func (c *Check) check() error {
	switch {
	case int(c.Kind) >= len(checkNames):
		return fmt.Errorf("Check.Kind %d is not known", c.Kind)
	case c.Interval < 0 || c.Timeout < 0 || c.Rise < 0 || c.Fall < 0:
		return errors.New("Check: its times and counts cannot be negative")
	case c.Kind == CheckExpect && c.Expect == "":
		return errors.New("Check.Expect is empty: there is nothing to wait for")
	}
	return nil
}

func (c *Check) interval() time.Duration { return cmp.Or(c.Interval, defaultCheckInterval) }
func (c *Check) timeout() time.Duration  { return cmp.Or(c.Timeout, defaultCheckTimeout) }

// describe says which check failed and how.
func (c *Check) describe(err string) string { return "check " + checkNames[c.Kind] + ": " + err }

// probe checks ep once.
func (b *Backend) probe(ctx context.Context, ep *endpoint) error {
	limit := b.Check.timeout()
	if b.Check.Kind == CheckOff {
		limit = cmp.Or(b.connectTimeout(), defaultConnectTimeout)
	}
	begin := time.Now()
	nc, err := b.dial(ctx, nil, ep, begin, limit)
	if err != nil {
		return err
	}
	defer nc.Close()
	if b.Check.Kind == CheckOff || b.Check.Kind == CheckTCP {
		return nil
	}
	nc.SetDeadline(begin.Add(limit))
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(longAgo) })
	defer stop()
	switch b.Check.Kind {
	case CheckHTTP:
		err = b.Check.askHTTP(nc, ep)
	case CheckExpect:
		err = b.Check.converse(nc)
	case CheckTLS:
		err = b.shakeHands(ctx, nc, ep)
	}
	if err == nil {
		return nil
	}
	return stepReason(err, limit)
}

// shakeHands does a TLS handshake, if the connection has not had one by
// Backend.TLS: whose certificate it is cannot be judged then.
func (b *Backend) shakeHands(ctx context.Context, nc net.Conn, ep *endpoint) error {
	if b.TLS != nil {
		return nil
	}
	host, _, _ := net.SplitHostPort(ep.name)
	return tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: host, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
}

func (c *Check) askHTTP(nc net.Conn, ep *endpoint) error {
	host := cmp.Or(c.Host, ep.name)
	if ep.where.network == "unix" {
		host = cmp.Or(c.Host, "localhost")
	}
	req, err := http.NewRequest(cmp.Or(c.Method, http.MethodGet), "http://"+host+cmp.Or(c.Path, "/"), nil)
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("User-Agent", "netserver-check")
	if err := req.Write(nc); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(nc, maxCheckAnswer)), req)
	if err != nil {
		return fmt.Errorf("no HTTP answer: %w", err)
	}
	low, high := cmp.Or(c.Status[0], 200), cmp.Or(c.Status[1], 399)
	if res.StatusCode < low || res.StatusCode > high {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

func (c *Check) converse(nc net.Conn) error {
	if c.Send != "" {
		if _, err := io.WriteString(nc, c.Send); err != nil {
			return err
		}
	}
	want := []byte(c.Expect)
	got := make([]byte, 0, 512)
	for {
		if len(got) == cap(got) {
			got = append(got, 0)[:len(got)]
		}
		n, err := nc.Read(got[len(got):cap(got)])
		got = got[:len(got)+n]
		switch {
		case bytes.Contains(got, want):
			return nil
		case err == io.EOF:
			return fmt.Errorf("it ended after %s", excerpt(got))
		case err != nil && isTimeout(err) && len(got) > 0:
			return fmt.Errorf("in time it said only %s", excerpt(got))
		case err != nil:
			return err
		case len(got) >= maxCheckAnswer:
			return fmt.Errorf("%d bytes without what is expected", len(got))
		}
	}
}

// excerpt shows the beginning of an answer.
func excerpt(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	return strconv.Quote(string(b[:min(len(b), 60)]))
}
