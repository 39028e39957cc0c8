package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Binder stores the values of one key in a variable.
type Binder interface {
	// Set stores vals, in the order they were given. A key that is neither
	// List nor Map gets exactly one value, or none to reset the variable to
	// its zero value. The error says what is wrong with the value;
	// Value.Errorf adds the position, and Problems holds several errors.
	Set(vals []Value) error
	// Texts returns the variable's value in the form that Set accepts; nil if
	// it is the zero value or unknown.
	Texts() []string
}

// A boolBinder is a Binder for a key that needs no value.
type boolBinder interface{ IsBool() bool }

// String binds a text, which may be empty.
func String(p *string) Binder { return stringBinder{p} }

type stringBinder struct{ p *string }

func (b stringBinder) Set(vals []Value) error {
	*b.p = last(vals).Text
	return nil
}

func (b stringBinder) Texts() []string { return nonEmpty(*b.p) }

// Strings binds a list of texts.
func Strings(p *[]string) Binder { return stringsBinder{p} }

type stringsBinder struct{ p *[]string }

func (b stringsBinder) Set(vals []Value) error {
	*b.p = texts(vals)
	return nil
}

func (b stringsBinder) Texts() []string { return slices.Clone(*b.p) }

// Raw binds the values as given, with their names and origins, for code that
// interprets them itself.
func Raw(p *[]Value) Binder { return rawBinder{p} }

type rawBinder struct{ p *[]Value }

func (b rawBinder) Set(vals []Value) error {
	*b.p = slices.Clone(vals)
	return nil
}

func (b rawBinder) Texts() []string { return texts(*b.p) }

// Func calls f with the values, for keys that no other binder fits. Each
// Resolve that finds the key calls f; the first one that no longer finds it
// calls f without values.
func Func(f func([]Value) error) Binder { return funcBinder(f) }

type funcBinder func([]Value) error

func (f funcBinder) Set(vals []Value) error { return f(vals) }
func (f funcBinder) Texts() []string        { return nil }

// Choice binds one of the allowed words, ignoring case; the variable gets the
// word as spelt in allowed.
func Choice(p *string, allowed ...string) Binder { return choiceBinder{p, allowed} }

type choiceBinder struct {
	p       *string
	allowed []string
}

func (b choiceBinder) Set(vals []Value) error {
	if len(vals) == 0 {
		*b.p = ""
		return nil
	}
	v := last(vals)
	for _, a := range b.allowed {
		if strings.EqualFold(a, v.Text) {
			*b.p = a
			return nil
		}
	}
	p := v.Errorf("%s is not one of %s", quote(v.Text), strings.Join(b.allowed, ", "))
	p.Hint = didYouMean(Nearest(v.Text, b.allowed))
	return p
}

func (b choiceBinder) Texts() []string { return nonEmpty(*b.p) }

// Bool binds a boolean, as ParseBool reads it. The key may be given without a
// value, which means true.
func Bool(p *bool) Binder { return boolVar{p} }

type boolVar struct{ p *bool }

func (b boolVar) Set(vals []Value) error {
	on, err := ParseBool(last(vals))
	if err != nil {
		return err
	}
	*b.p = on
	return nil
}

func (b boolVar) Texts() []string {
	if *b.p {
		return []string{"1"}
	}
	return nil
}

func (b boolVar) IsBool() bool { return true }

// numberRE matches a plain decimal number as Perl reads it.
var numberRE = regexp.MustCompile(`^-?(\d+(\.\d*)?|\.\d+)$`)

// ParseBool reads a boolean: the empty text and 0 are false; 1, yes, true, on
// and other numbers are true. For Net::Server every other text is true as
// well, including off, false, 00 and 0.0; that is hardly ever intended, so
// they are errors here. In a TOML file, false is false.
func ParseBool(v Value) (bool, error) {
	word := strings.ToLower(v.Text)
	switch word {
	case "", "0":
		return false, nil
	case "1", "yes", "true", "on":
		return true, nil
	case "false":
		if v.Origin.toml() {
			return false, nil
		}
	}
	if numberRE.MatchString(word) && strings.ContainsAny(word, "123456789") {
		return true, nil
	}
	return false, v.Errorf("%s would be true to Net::Server, as is every text but 0: write 0 or 1", quote(v.Text))
}

// UnknownKeys binds the treatment of unknown keys, refuse or warn. The
// variable is the Set's own Unknown field:
//
//	s.Define(conf.Key{Name: "unknown_keys"}, conf.UnknownKeys(&s.Unknown))
//
// If it holds KeepUnknown or KeepInFiles when the key is defined, that is the
// default, and its word is keep.
func UnknownKeys(p *Unknown) Binder { return unknownBinder{p, *p} }

type unknownBinder struct {
	p       *Unknown
	initial Unknown
}

const keepWord = "keep"

func (b unknownBinder) Set(vals []Value) error {
	if len(vals) == 0 {
		*b.p = RefuseUnknown
		return nil
	}
	words := []string{"refuse", "warn"}
	if b.initial == KeepUnknown || b.initial == KeepInFiles {
		words = append(words, keepWord)
	}
	var word string
	if err := Choice(&word, words...).Set(vals); err != nil {
		return err
	}
	*b.p = map[string]Unknown{"warn": WarnUnknown, keepWord: b.initial}[word]
	return nil
}

func (b unknownBinder) Texts() []string {
	switch *b.p {
	case WarnUnknown:
		return []string{"warn"}
	case KeepUnknown, KeepInFiles:
		return []string{keepWord}
	}
	return nil
}

// last returns the last of vals, or the zero Value.
func last(vals []Value) Value {
	if len(vals) == 0 {
		return Value{}
	}
	return vals[len(vals)-1]
}

func texts(vals []Value) []string {
	if len(vals) == 0 {
		return nil
	}
	t := make([]string, len(vals))
	for i, v := range vals {
		t[i] = v.Text
	}
	return t
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// didYouMean formats a suggestion; "" if there is none.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s?", name)
}
