package logs

import (
	"bytes"
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"time"
)

// appendAttr adds a blank, the key with its groups' prefix, an equals sign and
// the value; for a group, it does so for each member. The empty Attr adds
// nothing.
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, m := range v.Group() {
			b = appendAttr(b, prefix, m)
		}
		return b
	}
	if a.Key == "" && v.Equal(slog.Value{}) {
		return b
	}
	b = append(b, ' ')
	if prefix == "" || a.Key == "" {
		b = appendText(b, prefix+a.Key)
	} else if plainText(prefix) && plainText(a.Key) {
		b = append(b, prefix...)
		b = append(b, a.Key...)
	} else {
		b = appendText(b, prefix+a.Key)
	}
	b = append(b, '=')
	return appendValue(b, v)
}

// appendValue adds v, which is resolved and not a group.
func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendText(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindFloat64:
		return strconv.AppendFloat(b, v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindDuration:
		return appendDuration(b, v.Duration())
	case slog.KindTime:
		return v.Time().AppendFormat(b, time.RFC3339Nano)
	default:
		return appendText(b, textOf(v.Any()))
	}
}

// appendDuration adds d in time.ParseDuration's form, in ASCII: 15us.
func appendDuration(b []byte, d time.Duration) []byte {
	b = append(b, d.String()...)
	if micro, ok := bytes.CutSuffix(b, []byte("µs")); ok {
		b = append(micro, "us"...)
	}
	return b
}

// textOf returns the text of a value without a slog kind. A panic in one of
// its methods must not end the client whose record this is.
func textOf(v any) (text string) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
			text = "<nil>"
			return
		}
		text = fmt.Sprintf("!PANIC: %v", p)
	}()
	switch v := v.(type) {
	case error:
		return v.Error()
	case encoding.TextMarshaler:
		t, err := v.MarshalText()
		if err != nil {
			return "!ERROR: " + err.Error()
		}
		return string(t)
	case []byte:
		return string(v)
	case fmt.Stringer:
		return v.String()
	default:
		return fmt.Sprintf("%+v", v)
	}
}
