//go:build !linux || (!amd64 && !arm64)

package sandbox

import "netserver/internal/childproc"

func refusing(*childproc.Part) int { return 0 }
