package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"netserver/bench/machine"
)

// print prints the result for a terminal.
func (r *result) print(w io.Writer) {
	r.aims.Print(w)
	for _, t := range r.tables {
		fmt.Fprintf(w, "%s\n", t.title)
		for _, row := range t.rows {
			fmt.Fprintf(w, "  %-28s %s\n", row[0], strings.Join(row[1:], "  "))
		}
	}
	fmt.Fprintf(w, "the whole run took %.0f s\n", r.elapsed.Seconds())
}

func (r *result) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "cluster.md")
	page, err := r.page(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(page), 0o644)
}

func (r *result) markdown(w io.Writer) {
	where := "on loopback addresses"
	if r.o.space != "" {
		where = "each in a network namespace of its own"
	}
	fmt.Fprintf(w, `# Several machines

Written by `+"`go run ./bench/cluster`"+` as root, on %s with %d processors, %s.

Three netservers that share by a redis-server, and HAProxy before them, which gives each connection to the next node and tells it by a PROXY header who the client is, %s. Clients and programs share the processors.

`, machine.Processor()+", "+machine.Kernel(), runtime.NumCPU(), runtime.Version(), where)
	r.aims.Markdown(w)
	for _, t := range r.tables {
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n", t.title, t.text)
		for i, row := range t.rows {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
			}
		}
	}
	fmt.Fprintf(w, "\nThe whole run took %.0f s.\n", r.elapsed.Seconds())
}
