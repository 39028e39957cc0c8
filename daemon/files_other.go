//go:build !unix

package daemon

import (
	"errors"
	"os"
)

func dupFile(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }
