package descriptors

import (
	"strconv"
	"strings"
)

// maxFDName is how long systemd lets the name of a descriptor be.
const maxFDName = 255

// Names names n descriptors; list is what the manager calls them.
func Names(n int, list string) []string {
	names := make([]string, n)
	given := strings.SplitN(list, ":", n+1)
	for i := range names {
		names[i] = strconv.Itoa(First + i)
		if len(given) == n && given[i] != "" && len(given[i]) <= maxFDName {
			names[i] += " " + strconv.Quote(given[i])
		}
	}
	return names
}
