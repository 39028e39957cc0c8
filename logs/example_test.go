package logs_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"netserver/logs"
)

// Net::Server's levels are 0 to 4; 2 is a notice, which slog does not have.
func ExampleLevel() {
	for n := range 5 {
		fmt.Println(n, logs.LevelName(logs.Level(n)))
	}
	// Output:
	// 0 err
	// 1 warning
	// 2 notice
	// 3 info
	// 4 debug
}

// NewLine writes lines as Net::Server does: the time, the message, attributes.
func ExampleNewLine() {
	var b strings.Builder
	log := slog.New(logs.NewLine(&b, logs.Options{Level: logs.Level(2)}))
	log.Info("not shown")
	log.Warn("disk is full", "path", "/var")
	_, rest, _ := strings.Cut(b.String(), " ") // without the time
	fmt.Print(rest)
	// Output:
	// disk is full path=/var
}

// A log file that was moved is opened again by Reopen, as HUP does.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "server.log")
	f, err := logs.OpenFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	log := slog.New(logs.NewJSON(f, logs.Options{}))
	log.Warn("before")
	os.Rename(path, path+".1")
	f.Reopen()
	log.Warn("after")
	old, _ := os.ReadFile(path + ".1")
	now, _ := os.ReadFile(path)
	fmt.Println(strings.Contains(string(old), "before"), strings.Contains(string(now), "after"))
	// Output:
	// true true
}
