package conf

import (
	"fmt"
	"slices"
	"strings"
)

// envPrefix begins the name of every environment variable that sets a key.
// Names with a second underscore are reserved for messages among the server's
// processes.
const envPrefix = "NETSERVER_"

// ReadEnv reads keys from the environment in the form of os.Environ. A
// variable's name is NETSERVER_ and the key, in any case, usually upper:
// NETSERVER_SSL_CERT_FILE. A list key takes one value from each line of the
// variable and skips empty lines. Names beginning NETSERVER__ are skipped;
// other names beginning NETSERVER_ must be keys, except the service links of
// Kubernetes and Docker for a service of that name: they are skipped with a
// warning.
func (s *Set) ReadEnv(environ []string) Layer {
	l := Layer{Source: SourceEnv}
	byFold := make(map[string]*def)
	for _, d := range s.defs {
		byFold[strings.ToUpper(d.Name)] = d
	}
	seen := make(map[string]string) // key to the variable that set it
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
				Err: fmt.Errorf("%s sets it too, and neither variable overrides the other; set only one", other),
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

// envName is the usual name of a key's variable.
func envName(key string) string { return envPrefix + strings.ToUpper(key) }
