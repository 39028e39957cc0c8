package access

import "strings"

// maxName is the longest name that DNS has, without the final dot.
const maxName = 253

// isHostname reports whether s can be a client's name: labels of letters,
// digits, hyphens and underscores, the last of them not a number. So neither
// an address nor a hostile name server's text aimed at logs and rules passes
// for a name.
func isHostname(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != ""
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
