package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"
)

// verbTop is no verb of the protocol: it asks for several.
const verbTop = "top"

// A Viewer shows the server on a socket anew after each interval, count times or
// for ever, in the terminal that stdout is, or as lines where it is none or
// plain is set. It returns nil when ctx ends.
type Viewer func(ctx context.Context, socket string, environ []string, interval time.Duration, count int, plain bool, stdout io.Writer) error

// topOptions are what top is asked for.
type topOptions struct {
	show     Viewer
	interval time.Duration
	count    int
	plain    bool
	given    string // one of the options that only top has
}

const (
	topInterval = 2 * time.Second
	minInterval = 0.1 // seconds
	maxInterval = 86400
)

// set takes an option.
func (o *topOptions) set(name, value string) error {
	o.given = name
	if name == "--count" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("--count: %q is not a number of times", value)
		}
		o.count = n
		return nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(v) || v < minInterval || v > maxInterval {
		return fmt.Errorf("--interval: %q is not a number of seconds, from %g to %d", value, minInterval, maxInterval)
	}
	o.interval = time.Duration(v * float64(time.Second))
	return nil
}

// checkTop checks what stands beside top.
func (c *command) checkTop(rest []string, wait bool) error {
	switch r := c.request; {
	case c.top.show == nil:
		return errors.New("this program has no top: the command netserver has")
	case len(rest) > 0:
		return fmt.Errorf("top takes no %q", rest[0])
	case c.json:
		return errors.New("top has no --json: status, conns and metrics have")
	case !reflect.ValueOf(r).IsZero() || !wait:
		return errors.New("top takes --interval, --count and --plain (netserver ctl --help)")
	}
	c.request.Verb = verbTop
	if c.top.interval == 0 {
		c.top.interval = topInterval
	}
	return nil
}

func (c *command) watch(ctx context.Context) error {
	return c.top.show(ctx, c.socket, c.environ, c.top.interval, c.top.count, c.top.plain, c.stdout)
}

// number sets an option that is a number.
func (c *command) number(name, value string) error {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %q is not a whole number", name, value)
	case name == "--timeout" && n < 1:
		return fmt.Errorf("--timeout: %q is not a number of seconds", value)
	case name == "--timeout":
		c.request.Timeout = n
	default:
		c.request.Limit = n
	}
	return nil
}
