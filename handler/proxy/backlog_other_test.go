//go:build !unix

package proxy_test

import "errors"

func shrinkBacklog(int) error { return errors.ErrUnsupported }
