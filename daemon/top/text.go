package top

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"netserver/internal/control"
)

// plain makes text from clients, workers and configuration safe for a terminal,
// and each of its letters one column wide: control.Clean, and of letters beyond
// ASCII only those that neither run from right to left, nor combine with others,
// nor are wide.
func plain(s string) string {
	s = control.Clean(s)
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if odd(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// odd reports whether a letter may take another place or width than an ASCII one.
func odd(r rune) bool {
	return r >= 0x80 && !(unicode.IsLetter(r) && unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) && r < 0x2000)
}

// cut shortens text to a width, which it shows by a last "~".
func cut(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	return string(r[:width-1]) + "~"
}

// pad fills text up to a width, at its right, or its left for numbers.
func pad(s string, width int, right bool) string {
	gap := strings.Repeat(" ", max(0, width-len([]rune(s))))
	if right {
		return gap + s
	}
	return s + gap
}

// age writes seconds in at most six letters.
func age(s float64) string {
	n := int64(s)
	switch {
	case s < 0:
		return "-"
	case s < 9.95:
		return fmt.Sprintf("%.1fs", s)
	case n < 60:
		return fmt.Sprintf("%ds", n)
	case n < 3600:
		return fmt.Sprintf("%dm%02ds", n/60, n%60)
	case n < 24*3600:
		return fmt.Sprintf("%dh%02dm", n/3600, n/60%60)
	}
	return fmt.Sprintf("%dd%02dh", n/86400, n/3600%24)
}

// size writes bytes in at most six letters.
func size(n uint64) string {
	v, unit := float64(n), ""
	for _, u := range []string{"K", "M", "G", "T", "P", "E"} {
		if v < 1000 {
			break
		}
		v, unit = v/1024, u
	}
	if unit == "" {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%.1f%s", v, unit)
}

// rate writes a number per second.
func rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// short writes seconds with three digits.
func short(v float64) string {
	switch {
	case v >= 1:
		return strconv.FormatFloat(v, 'g', 3, 64) + "s"
	case v >= 1e-3:
		return strconv.FormatFloat(v*1e3, 'g', 3, 64) + "ms"
	}
	return strconv.FormatFloat(v*1e6, 'g', 3, 64) + "us"
}
