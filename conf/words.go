package conf

import "strings"

// Words splits a text that lists names: at commas and at blanks, as many as
// there are. All keys that take several names in one value take them so, and
// their help calls the value NAMES or the like; keys whose values may hold a
// comma or a blank themselves take one a value.
func Words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}
