package admin

import (
	"embed"
	"io/fs"
)

//go:embed page
var embedded embed.FS

// Page returns the files of the live page; index.html is its entry.
func Page() fs.FS {
	sub, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // the folder is built in
	}
	return sub
}
