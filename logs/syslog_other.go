//go:build !unix

package logs

func wrongKind(error) bool { return false }

func tooLong(error) bool { return false }

func isRefused(error) bool { return false }
