// Package page has the files of the live page, which are built into the program:
// index.html, what it loads, and nothing from elsewhere. The package admin serves
// them. It imports nothing of this module. Start reading at index.html.
package page

import (
	"embed"
	"io/fs"
)

//go:embed *.html
var files embed.FS

// Files returns the files of the page; index.html is its entry.
func Files() fs.FS { return files }
