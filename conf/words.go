package conf

import "strings"

// Words splits a list of names at commas and blanks. Every key that takes
// several names in one value uses it, and help calls such a value NAMES or the
// like; keys whose values may contain a comma or a blank take one per value.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}
