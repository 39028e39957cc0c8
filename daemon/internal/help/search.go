package help

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"netserver/conf"
)

// Run answers --help and the word after it: without one the overview, for "all"
// usage and every key, and otherwise what there is about the word. It reports
// whether there is anything.
func Run(w io.Writer, set *conf.Set, usage, word string) bool {
	switch name := strings.TrimLeft(word, "-"); {
	case name == "":
		overview(w, set)
	case strings.EqualFold(name, "all"):
		io.WriteString(w, usage)
		set.Help(w)
	default:
		return search(w, set, name)
	}
	return true
}

// alike are words that mean the same to who asks.
var alike = [...][]string{
	{"tls", "ssl", "https"},
	{"backend", "upstream", "target", "proxy"},
	{"certificate", "cert", "crt"},
	{"limit", "limits", "max"},
	{"log", "logs", "logging"},
	{"program", "exec", "cgi", "command"},
	{"mtls", "mutual", "verify"},
	{"letsencrypt", "acme", "certbot"},
	{"reload", "hup", "restart"},
	{"deny", "denied", "allow", "acl"},
	{"daemon", "background"},
	{"datagram", "datagrams", "udp"},
}

// A question is what somebody wants to know about.
type question struct {
	word  string   // folded
	words []string // it and those that mean the same
}

func ask(word string) question {
	q := question{word: fold(word)}
	q.words = []string{q.word}
	for _, a := range alike {
		if slices.Contains(a, q.word) {
			q.words = append(q.words, a...)
		}
	}
	return q
}

// fold removes what a name may differ in.
func fold(name string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
}

// says reports whether a word of text begins with one of the question's.
func (q question) says(text string) bool {
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if slices.ContainsFunc(q.words, func(x string) bool { return strings.HasPrefix(w, x) }) {
			return true
		}
	}
	return false
}

// named reports whether a name has one of the question's words.
func (q question) named(name string) bool {
	return slices.ContainsFunc(q.words, func(x string) bool { return strings.Contains(fold(name), x) })
}

// search writes what there is about a word: the key of that name, or the group,
// with all that help says; keys whose names or descriptions have the word;
// tables, pages, and what the name means that another program has for it.
func search(w io.Writer, set *conf.Set, word string) bool {
	q := ask(word)
	var b bytes.Buffer
	full := q.whole(&b, set) // then related keys are only named
	if !full {
		set.HelpFor(&b, func(k conf.Key) bool { return q.named(k.Name) || q.says(k.Group) }, func(name string) bool { return q.named(name) })
	}
	if instead := OtherNames()[q.word]; instead != "" {
		b = *bytes.NewBuffer(slices.Concat([]byte(word+": "+instead+"\n\n"), b.Bytes()))
	}
	q.mentions(&b, set, full)
	q.pages(&b, set)
	if b.Len() == 0 {
		return false
	}
	w.Write(b.Bytes())
	return true
}

// whole writes the key or the group that is called so, both if both are, and
// reports whether there is one.
func (q question) whole(b *bytes.Buffer, set *conf.Set) bool {
	if slices.ContainsFunc(set.Keys(), func(k conf.Key) bool { return fold(k.Name) == q.word }) {
		set.HelpFor(b, func(k conf.Key) bool { return fold(k.Name) == q.word || fold(k.Group) == q.word }, nil)
	}
	if b.Len() > 0 && len(q.words) == 1 {
		return true
	}
	b.Reset()
	set.HelpFor(b, func(k conf.Key) bool { return fold(k.Group) == q.word }, nil)
	return b.Len() > 0
}

// mentions lists the names of keys that only speak of the word, and, if named,
// of those whose names have it.
func (q question) mentions(b *bytes.Buffer, set *conf.Set, named bool) {
	var names []string
	for _, k := range set.Keys() {
		whole := fold(k.Name) == q.word || fold(k.Group) == q.word
		inName := q.says(strings.ReplaceAll(k.Name, "_", " "))
		switch {
		case k.Refuse != "" || whole:
		case named && (inName || q.says(k.Help)), !named && !q.named(k.Name) && !q.says(k.Group) && q.says(k.Help):
			names = append(names, k.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	const most = 40
	if len(names) > most {
		names = append(names[:most], "...")
	}
	separate(b)
	b.WriteString("more keys about it (--help KEY)\n")
	for _, line := range wrap(strings.Join(names, " ")) {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// wrap breaks text into lines that fit beside an indentation.
func wrap(text string) []string {
	const width = 76
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	return append(lines, line)
}

// pages lists the pages about the word, or about the group of the key of that
// name.
func (q question) pages(b *bytes.Buffer, set *conf.Set) {
	about := q
	for _, k := range set.Keys() {
		if fold(k.Name) == q.word && k.Refuse == "" {
			about.words = append(slices.Clone(q.words), strings.Fields(strings.ToLower(k.Group))...)
		}
	}
	var found []page
	for _, p := range pages {
		if about.says(p.file) || about.says(p.about) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return
	}
	separate(b)
	b.WriteString("pages\n")
	for _, p := range found {
		for i, l := range wrap(p.about) {
			if i == 0 {
				fmt.Fprintf(b, "  %s\n", p.file)
			}
			fmt.Fprintf(b, "    %s\n", l)
		}
	}
}

// separate writes the empty line between two parts.
func separate(b *bytes.Buffer) {
	if b.Len() > 0 && !bytes.HasSuffix(b.Bytes(), []byte("\n\n")) {
		b.WriteByte('\n')
	}
}

// Words are what Run knows something about: for the answer to one that it does
// not know.
func Words(set *conf.Set) []string {
	words := []string{"all"}
	for _, a := range alike {
		words = append(words, a...)
	}
	words = append(words, set.Groups()...)
	for _, k := range set.Keys() {
		if k.Refuse == "" {
			words = append(words, k.Name)
		}
	}
	return words
}
