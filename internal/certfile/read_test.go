package certfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadOfAFileInTheMaking: what changes while it is read is read again.
func TestReadOfAFileInTheMaking(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	stop, done := make(chan struct{}), make(chan struct{})
	// A writer that first cuts the file and then fills it half and half, each
	// time with one letter only.
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f, err := os.Create(file)
			if err != nil {
				t.Error(err)
				return
			}
			text := strings.Repeat(string(rune('a'+i%26)), 1<<16)
			f.WriteString(text[:1<<15])
			f.WriteString(text[1<<15:])
			f.Close()
		}
	}()
	mixed := 0
	for range 60 {
		if data, err := Read(RoleCert, file); err == nil && strings.Trim(string(data), string(data[:1])) != "" {
			mixed++
		}
	}
	close(stop)
	<-done
	if mixed > 2 { // where the system has coarse times, one may pass
		t.Errorf("%d of 60 times a mixture of two files", mixed)
	}
}
