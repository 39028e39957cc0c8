package logs

import (
	"io"
	"log/slog"
)

// NewJSON returns slog's JSON handler, one object a line, with the level's
// name as LevelName gives it. Its result has the type of NewLine's so that
// either can be chosen at run time.
func NewJSON(w io.Writer, o Options) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: o.level(), ReplaceAttr: nameLevel})
}

func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || a.Key != slog.LevelKey {
		return a
	}
	if l, ok := a.Value.Any().(slog.Level); ok {
		a.Value = slog.StringValue(LevelName(l))
	}
	return a
}
