package daemon

import (
	"log/slog"

	"netserver/daemon/internal/logging"
)

// notice and logged are shorter names for what logging has.
func notice(log *slog.Logger, msg string) { logging.Notice(log, msg) }

func logged(log *slog.Logger, err error) error { return logging.Error(log, err) }
