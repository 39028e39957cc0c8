package daemon

import (
	"fmt"
	"time"

	"netserver/conf"
)

// settleTime is how long a conf file must have rested before a reload reads
// it: whoever writes it in place is done then, as a rule.
const settleTime = 100 * time.Millisecond

// emptyFile refuses a conf file that gives nothing, where nothing else names a
// port either: it was cut short, and the default port is not what it was for.
func emptyFile(c *Config, res *conf.Result, unnamed bool) error {
	name := c.confFile
	if name == "" || res.FileKeys > 0 || !unnamed {
		return nil
	}
	return fmt.Errorf("conf_file: %s gives no key, and nothing else names a port; write a port into it, or give --port", name)
}
