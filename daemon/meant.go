package daemon

import (
	"strconv"

	"netserver/conf"
)

// checkBacklog finds a listen that was hardly meant as a backlog: where nobody
// has named a port, it is taken for one easily, and another would be opened.
func (c *Config) checkBacklog(res *conf.Result, unnamed bool) error {
	vals := res.Given()["listen"]
	if !unnamed || len(vals) == 0 {
		return nil
	}
	v := vals[len(vals)-1]
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < 1024 {
		return nil // a backlog that somebody may want
	}
	p := v.Errorf("listen %d is how many connections may wait to be accepted, and no port is named", n)
	p.Key = "listen"
	p.Hint = "write --port " + v.Text + " if that is the port, or name a port beside it"
	return p
}
