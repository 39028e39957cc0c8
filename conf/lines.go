package conf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// blanks is what \s matches in a Perl regular expression.
const blanks = " \t\n\v\f\r"

// ReadLines reads the text of a conf file in Net::Server's form, one value per
// line:
//
//	# a comment; \# is the character itself
//	key value
//	--key = value
//	key: value
//	key name=value    (for a key with named values)
//
// Everything after the separator is the value, including quotes, without
// trailing blanks. file is the name for messages.
func (s *Set) ReadLines(file string, data []byte) Layer {
	l := Layer{Source: SourceFile}
	at := Origin{Source: SourceFile, File: file}
	for raw := range bytes.Lines(withoutBOM(data)) {
		if l.Problems.full() {
			break // this is no conf file
		}
		at.Line++
		line := bytes.TrimRight(raw, "\r\n")
		if len(line) > maxLine || bytes.IndexByte(line, 0) >= 0 {
			l.Problems.add(&Problem{Origin: at, Err: errLine(line)})
			continue
		}
		text := uncomment(string(line))
		if text == "" {
			continue
		}
		key, value, ok := splitLine(text)
		switch {
		case !ok:
			l.Problems.add(s.badLine(text, at))
		case key == confFile:
			l.Problems.add(&Problem{Key: confFile, Origin: at, Err: errNotFollowed})
		default:
			l.Entries = append(l.Entries, Entry{Key: key, Origin: at, Values: []Value{s.value(key, value, at)}})
		}
	}
	return l
}

// errLine says why a line is not parsed.
func errLine(line []byte) error {
	if len(line) > maxLine {
		return fmt.Errorf("the line is longer than %d KiB", maxLine>>10)
	}
	return errors.New("there is a NUL byte in the line: this is not a text file")
}

// uncomment removes the comment, and blanks at both ends.
func uncomment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] != '\\') {
			line = line[:i]
			break
		}
	}
	return strings.Trim(strings.ReplaceAll(line, `\#`, "#"), blanks)
}

// splitLine splits a line without comment into a key, a separator (blanks, or
// = or : with optional blanks around it), and a value of one character or
// more.
func splitLine(line string) (key, value string, ok bool) {
	line = strings.TrimPrefix(line, "--")
	end := strings.IndexFunc(line, func(r rune) bool { return r > 0x7F || !isWordByte(byte(r)) })
	if end < 1 {
		return line, "", false
	}
	key, rest := line[:end], line[end:]
	value = strings.TrimLeft(rest, blanks)
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], blanks)
	} else if len(value) == len(rest) {
		return key, "", false
	}
	return key, value, value != ""
}

// badLine returns the problem of a line that is not KEY VALUE.
func (s *Set) badLine(line string, at Origin) *Problem {
	word := strings.TrimRight(strings.TrimPrefix(line, "--"), "=:"+blanks)
	if d := s.index[word]; d != nil {
		p := &Problem{Key: word, Origin: at, Err: errors.New("the line has no value")}
		p.Hint = fmt.Sprintf("write %q", word+" "+d.arg())
		if d.Bool {
			p.Hint = fmt.Sprintf("write %q", word+" 1")
		}
		return p
	}
	if i := strings.IndexAny(word, "=:"+blanks); i >= 0 {
		word = word[:i] // what follows may be a password
	}
	return &Problem{
		Origin: at,
		Err:    fmt.Errorf("the line that begins with %s is not KEY VALUE", quote(word)),
		Hint:   didYouMean(Nearest(word, s.names())),
	}
}
