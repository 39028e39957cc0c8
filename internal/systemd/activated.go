package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"netserver/internal/descriptors"
)

// maxActivated bounds what a manager may pass.
const maxActivated = 1 << 12

// Activated returns the sockets that a service manager opened for this
// process; the caller closes them. What Name returns of each is its number and
// the name that the manager gave it (FileDescriptorName), for messages. Without
// such a manager there are none.
func Activated(environ []string) ([]*os.File, error) {
	vars := make(map[string]string)
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	if vars["LISTEN_FDS"] == "" || vars["LISTEN_PID"] != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(vars["LISTEN_FDS"])
	if err != nil || n < 0 || n > maxActivated {
		return nil, fmt.Errorf("the service manager set LISTEN_FDS to %q, which is no number of sockets", vars["LISTEN_FDS"])
	}
	return descriptors.Inherited(descriptors.Names(n, vars["LISTEN_FDNAMES"])), nil
}
