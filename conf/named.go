package conf

import "strings"

// value makes a Value from the text of a source without tables. For a Map key,
// NAME=VALUE is VALUE for NAME, and =VALUE is always VALUE without a name,
// whatever it looks like.
func (s *Set) value(key, text string, at Origin) Value {
	if d := s.index[key]; d != nil && d.Map {
		if name, rest, ok := splitNamed(text); ok {
			return Value{Name: name, Text: rest, Origin: at}
		}
	}
	return Value{Text: text, Origin: at}
}

// splitNamed splits NAME=VALUE. A NAME contains a dot, as host names and
// wildcards do, or a %, so neither a path nor CN=ann is taken for one.
func splitNamed(text string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(text, "=")
	if !ok || name != "" && !strings.ContainsAny(name, ".%") {
		return "", "", false
	}
	for i := range len(name) {
		if c := name[i]; !isWordByte(c) && !strings.ContainsRune(".-*%", rune(c)) {
			return "", "", false
		}
	}
	if strings.HasPrefix(name, ".") {
		return "", "", false // a path
	}
	return name, value, true
}
