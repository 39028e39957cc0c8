package logs

import (
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// printable reports whether c appears in a log line unescaped.
func printable(c byte) bool { return c >= ' ' && c <= '~' }

// appendEscaped adds s with each byte that is not printable ASCII as %HH.
func appendEscaped(b []byte, s string) []byte {
	s = s[:min(len(s), maxRecord)] // the line is truncated there anyway
	from := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; !printable(c) {
			b = append(b, s[from:i]...)
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}

// appendText adds a key or a value: escaped, and quoted if its end would be
// ambiguous.
func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxRecord)]
	if plainText(s) {
		return append(b, s...)
	}
	if !needsQuotes(s) {
		return appendEscaped(b, s)
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = appendEscaped(b, s[from:i])
			b = append(b, '\\')
			from = i
		}
	}
	b = appendEscaped(b, s[from:])
	return append(b, '"')
}

// plainText reports whether s needs neither quotes nor escapes.
func plainText(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '=' {
			return false
		}
	}
	return true
}

func needsQuotes(s string) bool {
	if s == "" {
		return true
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == ' ' || c == '"' || c == '=' {
			return true
		}
	}
	return false
}

// cutNewline removes one trailing newline from s, as Net::Server does.
func cutNewline(s string) string {
	if n := len(s); n > 0 && s[n-1] == '\n' {
		return s[:n-1]
	}
	return s
}

// AppendText adds s to b as a value of a line of NewLine: in printable ASCII, and
// quoted if its end would be ambiguous.
func AppendText(b []byte, s string) []byte { return appendText(b, s) }

// AppendJSON adds s to b as a JSON string in printable ASCII: nothing in it ends
// the string or a line, or reaches a terminal. Bytes that are not UTF-8 become
// U+FFFD.
func AppendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case printable(c):
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				b = appendU(b, hi)
				r = lo
			}
			b = appendU(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}
