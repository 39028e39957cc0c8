package daemon

import (
	"errors"
	"fmt"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/wire"
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

// halfWritten refuses a new plan that shows that its conf file is not what its
// author meant. What such a file leaves out would be ports that are closed,
// and rules that no longer hold.
func halfWritten(old, now *wire.Plan) error {
	switch {
	case old.FileKeys > 0 && now.FileKeys == 0:
		return fmt.Errorf("the conf file gives no key any more, and gave %d before: it is empty or half written", old.FileKeys)
	case now.Unnamed && !old.Unnamed:
		return errors.New("nothing names a port any more, so that the default port 20203 would be opened; name a port, or stop and start the server if that is meant")
	case now.Unended && !old.Unended && old.FileKeys > 0:
		return errors.New("the conf file ends within a line, and did not before: it seems half written; end its last line")
	}
	return nil
}
