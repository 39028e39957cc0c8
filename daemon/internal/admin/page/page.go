package page

import (
	"embed"
	"io/fs"
)

//go:embed files
var files embed.FS

// Files returns the page: index.html, which is served at the listener's root,
// and beside it what that loads below page/.
func Files() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		panic(err) // the name is wrong, which each test of the page shows
	}
	return sub
}
