package starttls

import (
	"fmt"
	"strings"

	dialog "netserver/starttls"
)

// Parse makes a Handler, without Next, of a protocol and words after it, as the
// key starttls has them: optional for Optional, xclient for XCLIENT, and
// name=HOST for Name.
func Parse(text string) (*Handler, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, fmt.Errorf("write a protocol, %s, and after it any of optional, xclient and name=HOST", strings.Join(dialog.Names(), ", "))
	}
	p, err := dialog.Parse(words[0])
	if err != nil {
		return nil, err
	}
	h := &Handler{Protocol: p}
	for _, w := range words[1:] {
		name, named := strings.CutPrefix(w, "name=")
		switch {
		case named && isHost(name) && h.Name == "":
			h.Name = name
		case w == "optional" && !h.Optional:
			h.Optional = true
		case w == "xclient" && !h.XCLIENT && p == dialog.SMTP:
			h.XCLIENT = true
		default:
			return nil, fmt.Errorf("%q cannot follow %v: there are optional, name=HOST, and for smtp xclient", w, p)
		}
	}
	return h, nil
}

// isHost reports whether s can be a host's name in a greeting.
func isHost(s string) bool {
	return s != "" && len(s) <= 253 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == ""
}
