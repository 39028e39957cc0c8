package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Each file and folder that ARCHITECTURE.md names is there.
func TestArchitectureNamesFilesThatExist(t *testing.T) {
	b, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z_0-9/]+(?:\\.go|/))`").FindAllSubmatch(b, -1)
	if len(named) < 30 {
		t.Errorf("only %d files are named", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join("..", string(m[1]))); err != nil {
			t.Error(err)
		}
	}
}
