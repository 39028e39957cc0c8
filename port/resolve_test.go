package port

import (
	"strings"
	"testing"
)

func TestExamples(t *testing.T) {
	for _, ex := range examples {
		got := ex.kase.ask()
		if got.String() != ex.want && (got.Error == "" || !strings.HasPrefix(got.String(), ex.want)) {
			t.Errorf("%s\n got %s\nwant %s", ex.kase, got, ex.want)
		}
	}
}
