package conf

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// An integer is a whole number that fits an int64.
type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

// Int binds a whole number from min to max, written in decimal digits. If min
// is negative, the word none (or -1) is accepted and stores -1, which this
// program treats as "no limit".
func Int[T integer](p *T, min, max T) Binder {
	return &numberBinder[T]{p: p, min: min, max: max, kind: "a whole number", parse: parseInt, format: formatInt}
}

// Size binds a number of bytes from min to max: digits, optionally followed by
// K, M or G for 1024, 1024² or 1024³. A negative min allows none, as for Int.
func Size[T ~int | ~int64](p *T, min, max T) Binder {
	return &numberBinder[T]{p: p, min: min, max: max, kind: "a size such as 4096, 64K or 16M", parse: parseSize, format: formatSize}
}

// Seconds binds a duration from min to max: decimal seconds as in Net::Server
// (10, 0.5), or a Go duration (1m30s). A max of 0 is no bound. A negative min
// allows none, which stores a duration of -1, and no other negative value.
func Seconds(p *time.Duration, min, max time.Duration) Binder {
	if max == 0 {
		max = math.MaxInt64
	}
	return &numberBinder[time.Duration]{
		p: p, min: min, max: max,
		kind: "a time such as 10, 0.5 or 1m30s", parse: parseSeconds, format: formatSeconds, whole: true,
	}
}

// FileMode binds the permission bits of a file, in octal: 660 or 0660.
func FileMode(p *fs.FileMode) Binder {
	return &numberBinder[fs.FileMode]{
		p: p, max: fs.ModePerm,
		kind: "a file mode in octal, such as 0660", parse: parseMode, format: formatMode,
	}
}

// A numberBinder binds a number within bounds.
type numberBinder[T integer] struct {
	p        *T
	min, max T
	kind     string                           // the expected form, for messages
	parse    func(text string) (int64, error) // without sign
	format   func(int64) string
	whole    bool // a negative min allows none but no other negative value
}

func (b *numberBinder[T]) Set(vals []Value) error {
	if len(vals) == 0 {
		*b.p = 0
		return nil
	}
	v := last(vals)
	text := v.Text
	if v.Origin.toml() {
		text = strings.ReplaceAll(text, "_", "") // 1_000
	}
	if b.min < 0 && (strings.EqualFold(text, "none") || text == "-1") {
		*b.p = 0
		*b.p-- // not -1, which no unsigned T could hold
		return nil
	}
	num, err := b.number(text)
	if b.whole && num < 0 && err == nil {
		err = strconv.ErrRange
	}
	switch {
	case err == nil && num >= int64(b.min) && num <= int64(b.max):
		*b.p = T(num)
		return nil
	case err == nil || err == strconv.ErrRange:
		return v.Errorf("%s is out of range: %s", quote(v.Text), b.bounds())
	}
	return v.Errorf("%s is not %s", quote(v.Text), b.kind)
}

func (b *numberBinder[T]) number(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	num, err := b.parse(digits)
	if negative {
		num = -num
	}
	return num, err
}

// bounds formats the allowed range.
func (b *numberBinder[T]) bounds() string {
	low, high, orNone := int64(b.min), int64(b.max), ""
	if low == -1 || low < 0 && b.whole {
		low, orNone = 0, ", or none"
	}
	if high == math.MaxInt64 {
		return fmt.Sprintf("it must be at least %s%s", b.format(low), orNone)
	}
	return fmt.Sprintf("it must be from %s to %s%s", b.format(low), b.format(high), orNone)
}

func (b *numberBinder[T]) Texts() []string {
	switch {
	case *b.p == 0:
		return nil
	case *b.p < 0:
		return []string{"none"}
	}
	return []string{b.format(int64(*b.p))}
}

// parseDigits reads digits of a base and nothing else, not even a sign.
func parseDigits(text string, base int) (int64, error) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return 0, strconv.ErrSyntax
	}
	num, err := strconv.ParseInt(text, base, 64)
	if err != nil {
		return 0, err.(*strconv.NumError).Err
	}
	return num, nil
}

func parseInt(text string) (int64, error) { return parseDigits(text, 10) }
func formatInt(num int64) string          { return strconv.FormatInt(num, 10) }

func parseMode(text string) (int64, error) {
	return parseDigits(strings.TrimPrefix(text, "0o"), 8)
}
func formatMode(num int64) string { return fmt.Sprintf("%04o", num) }

// sizeUnits are the suffixes of a size, largest first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}}

func parseSize(text string) (int64, error) {
	text, unit := strings.ToUpper(text), int64(1)
	for _, u := range sizeUnits {
		if digits, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = digits, u.bytes
			break
		}
	}
	num, err := parseDigits(text, 10)
	if err == nil && num > math.MaxInt64/unit {
		err = strconv.ErrRange
	}
	return num * unit, err
}

func formatSize(num int64) string {
	for _, u := range sizeUnits {
		if num != 0 && num%u.bytes == 0 {
			return formatInt(num/u.bytes) + u.suffix
		}
	}
	return formatInt(num)
}

func parseSeconds(text string) (int64, error) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return 0, strconv.ErrSyntax
	}
	if strings.Trim(text, "0123456789.") == "" {
		whole, _, _ := strings.Cut(text, ".")
		if secs, err := parseInt("0" + whole); err != nil || secs > math.MaxInt64/int64(time.Second)-1 {
			return 0, strconv.ErrRange
		}
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, strconv.ErrSyntax
	}
	return int64(d), nil
}

// formatSeconds formats seconds, whole or fractional, as Net::Server would.
func formatSeconds(num int64) string {
	return strconv.FormatFloat(time.Duration(num).Seconds(), 'f', -1, 64)
}
