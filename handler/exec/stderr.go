package exec

import (
	"context"
	"log/slog"

	"netserver"
	"netserver/internal/childproc/program"
	"netserver/logs"
)

// Bounds of what clients can make programs write to the log: the lines per
// second of a client, and those of all clients of a Handler.
const (
	clientLines  = 20
	handlerLines = 200
)

func newLineLog(c *netserver.Conn, all *program.Rate) *program.Lines {
	var own program.Rate
	own.Init(clientLines, clientLines)
	log := c.Logger()
	return &program.Lines{
		Emit: func(line string) {
			log.LogAttrs(context.Background(), logs.Notice, "stderr", slog.String("line", line))
		},
		Allow: func() bool { return own.Allow() && all.Allow() },
	}
}
