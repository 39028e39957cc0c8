package proc

import (
	"strconv"
	"strings"
)

// maxFDName is how long systemd lets the name of a descriptor be.
const maxFDName = 255

// fdNames names n descriptors; list is what the manager calls them.
func fdNames(n int, list string) []string {
	names := make([]string, n)
	given := strings.SplitN(list, ":", n+1)
	for i := range names {
		names[i] = strconv.Itoa(firstFile + i)
		if len(given) == n && given[i] != "" && len(given[i]) <= maxFDName {
			names[i] += " " + strconv.Quote(given[i])
		}
	}
	return names
}
