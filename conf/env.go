package conf

import (
	"fmt"
	"slices"
	"strings"
)

// envPrefix begins the name of every environment variable that gives a key.
// With a second underscore the name is the process model's own.
const envPrefix = "NETSERVER_"

// ReadEnv reads what the environment gives, as os.Environ returns it: a
// variable named NETSERVER_ and the key in any case, upper usually, such as
// NETSERVER_SSL_CERT_FILE. A list key takes one value from each line of the
// variable and skips empty lines. Names beginning NETSERVER__ are skipped;
// other names beginning NETSERVER_ must be keys, but for the links that
// Kubernetes and Docker make of a service of that name: they are skipped, with
// a warning.
func (s *Set) ReadEnv(environ []string) Layer {
	l := Layer{Source: SourceEnv}
	byFold := make(map[string]*def)
	for _, d := range s.defs {
		byFold[strings.ToUpper(d.Name)] = d
	}
	seen := make(map[string]string) // key to the variable that gave it
	var links []string
	isLink := serviceLinks()
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(pair, "=")
		key, ok := strings.CutPrefix(name, envPrefix)
		if !ok || strings.HasPrefix(key, "_") {
			continue
		}
		at := Origin{Source: SourceEnv, File: name}
		d := byFold[strings.ToUpper(key)]
		if (d == nil || d.Name == portKey) && isLink(key, text) {
			links = append(links, name)
			continue
		}
		if d != nil {
			key = d.Name
		}
		if other, ok := seen[key]; ok {
			l.Problems.add(&Problem{
				Key: key, Origin: at,
				Err: fmt.Errorf("%s gives it as well, and one of two variables cannot be the last", other),
			})
			continue
		}
		seen[key] = name
		e := Entry{Key: key, Origin: at}
		for _, t := range envTexts(d, text) {
			e.Values = append(e.Values, s.value(key, t, at))
		}
		l.Entries = append(l.Entries, e)
	}
	if len(links) > 0 {
		l.Warnings = append(l.Warnings, linksWarning(links))
	}
	return l
}

// envTexts splits the text of a variable into values.
func envTexts(d *def, text string) []string {
	if d == nil || !d.List || !strings.ContainsAny(text, "\r\n") {
		return []string{text}
	}
	var texts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			texts = append(texts, line)
		}
	}
	return texts
}

// envName is the usual variable for a key.
func envName(key string) string { return envPrefix + strings.ToUpper(key) }
