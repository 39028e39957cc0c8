package place

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestWithoutPath(t *testing.T) {
	no := errors.New("no")
	pe := &fs.PathError{Op: "open", Path: "/proc/self/fd/7", Err: no}
	for err, want := range map[error]error{pe: no, no: no, nil: nil} {
		if got := WithoutPath(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := WithoutPath(fmt.Errorf("wrapped: %w", pe)); got != no {
		t.Error(got)
	}
}
