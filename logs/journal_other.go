//go:build !unix

package logs

import "os"

func fileID(*os.File) (string, bool) { return "", false }
