package conf

import "strings"

// maxNearest bounds the names that Nearest compares, in bytes. No key is
// longer.
const maxNearest = 64

// Nearest returns the known name that name was probably meant to be, or "" if
// none is close. It ignores case, dashes and underscores; then it counts
// letters added, omitted, changed or swapped; and last it accepts a known name
// that contains the whole of name, so that cert_file finds SSL_cert_file.
// Among equals the first of known wins.
func Nearest(name string, known []string) string {
	folded := fold(name)
	if folded == "" || len(folded) > maxNearest {
		return ""
	}
	best, bestDist := "", max(1, len(folded)/3)+1
	for _, k := range known {
		if d := distance(folded, fold(k), bestDist); d < bestDist {
			best, bestDist = k, d
		}
	}
	if best != "" || len(folded) < 4 {
		return best
	}
	for _, k := range known {
		if strings.Contains(fold(k), folded) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// misspelt returns the known name that differs from name by a typing error
// only, for places where other names are expected too.
func misspelt(name string, known []string) string {
	folded := fold(name)
	limit := 2
	switch {
	case len(folded) < 5 || len(folded) > maxNearest:
		return ""
	case len(folded) >= 10:
		limit = 3
	}
	best := ""
	for _, k := range known {
		if d := distance(folded, fold(k), limit); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// fold removes what Nearest ignores.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// distance is the edit distance between a and b: bytes added, removed or
// replaced, or two neighbours swapped. It may stop early when the answer is
// limit or more.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
