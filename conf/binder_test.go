package conf

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"testing"
	"time"
)

func TestBinders(t *testing.T) {
	var (
		num    int
		wide   int64
		narrow uint8
		size   int64
		span   time.Duration
		mode   fs.FileMode
		on     bool
		word   string
	)
	anyInt := Int(&num, 0, math.MaxInt)
	limit := Int(&num, -1, 50)
	signed := Int(&wide, -10, 10)
	small := Int(&narrow, 1, 255)
	bytes := Size(&size, -1, math.MaxInt64)
	secs := Seconds(&span, 0, 0)
	orNone := Seconds(&span, -1, time.Minute)
	tests := []struct {
		b    Binder
		text string
		want string // the variable as Texts returns it, or ! and the error
	}{
		{anyInt, "12", "[12]"},
		{anyInt, "010", "[10]"},
		{anyInt, "0", "[]"},
		{anyInt, "", `! "" is not a whole number`},
		{anyInt, "+1", `! "+1" is not a whole number`},
		{anyInt, "1.5", `! "1.5" is not a whole number`},
		{anyInt, "1_000", `! "1_000" is not a whole number`},
		{anyInt, "0x10", `! "0x10" is not a whole number`},
		{anyInt, "-1", `! "-1" is out of range: it must be at least 0`},
		{anyInt, "--1", `! "--1" is not a whole number`},
		{anyInt, "none", `! "none" is not a whole number`},
		{anyInt, "99999999999999999999", `! "99999999999999999999" is out of range: it must be at least 0`},
		{limit, "None", "[none]"},
		{limit, "-1", "[none]"},
		{limit, "51", `! "51" is out of range: it must be from 0 to 50, or none`},
		{signed, "-11", `! "-11" is out of range: it must be from -10 to 10`},
		{small, "256", `! "256" is out of range: it must be from 1 to 255`},
		{small, "255", "[255]"},
		{bytes, "4096", "[4K]"},
		{bytes, "1k", "[1K]"},
		{bytes, "16M", "[16M]"},
		{bytes, "3G", "[3G]"},
		{bytes, "1000", "[1000]"},
		{bytes, "none", "[none]"},
		{bytes, "K", `! "K" is not a size such as 4096, 64K or 16M`},
		{bytes, "1KB", `! "1KB" is not a size such as 4096, 64K or 16M`},
		{bytes, "17179869185G", `! "17179869185G" is out of range: it must be at least 0, or none`},
		{bytes, "9999999999G", `! "9999999999G" is out of range: it must be at least 0, or none`},
		{secs, "10", "[10]"},
		{secs, "0.5", "[0.5]"},
		{secs, ".25", "[0.25]"},
		{secs, "5.", "[5]"},
		{secs, "1m30s", "[90]"},
		{secs, "250ms", "[0.25]"},
		{secs, "0", "[]"},
		{secs, "", `! "" is not a time such as 10, 0.5 or 1m30s`},
		{secs, ".", `! "." is not a time such as 10, 0.5 or 1m30s`},
		{secs, "1.2.3", `! "1.2.3" is not a time such as 10, 0.5 or 1m30s`},
		{secs, "1 s", `! "1 s" is not a time such as 10, 0.5 or 1m30s`},
		{secs, "-1", `! "-1" is out of range: it must be at least 0`},
		{secs, "99999999999999", `! "99999999999999" is out of range: it must be at least 0`},
		{secs, "inf", `! "inf" is not a time such as 10, 0.5 or 1m30s`},
		{orNone, "none", "[none]"},
		{orNone, "61", `! "61" is out of range: it must be from 0 to 60, or none`},
		{FileMode(&mode), "660", "[0660]"},
		{FileMode(&mode), "0o600", "[0600]"},
		{FileMode(&mode), "1777", `! "1777" is out of range: it must be from 0000 to 0777`},
		{FileMode(&mode), "rw-", `! "rw-" is not a file mode in octal, such as 0660`},
		{Bool(&on), "", "[]"},
		{Bool(&on), "0", "[]"},
		{Bool(&on), "YES", "[1]"},
		{Bool(&on), "On", "[1]"},
		{Bool(&on), "2", "[1]"},
		{Bool(&on), "-1", "[1]"},
		{Bool(&on), "0.5", "[1]"},
		{Bool(&on), "false", `! "false" would be true to Net::Server, as is every text but 0: write 0 or 1`},
		{Bool(&on), "00", `! "00" would be true to Net::Server, as is every text but 0: write 0 or 1`},
		{Bool(&on), "0.0", `! "0.0" would be true to Net::Server, as is every text but 0: write 0 or 1`},
		{String(&word), "", "[]"},
		{String(&word), " a ", "[ a ]"},
		{Choice(&word, "None", "pipe"), "PIPE", "[pipe]"},
		{Choice(&word, "none", "pipe"), "", `! "" is not one of none, pipe`},
	}
	for _, tt := range tests {
		num, wide, narrow, size, span, mode, on, word = 0, 0, 0, 0, 0, 0, false, ""
		err := tt.b.Set([]Value{{Text: tt.text}})
		got := fmt.Sprint(tt.b.Texts())
		if err != nil {
			if got != "[]" {
				t.Errorf("%T %q: the variable became %s", tt.b, tt.text, got)
			}
			got = "! " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%T %q: got %s, want %s", tt.b, tt.text, got, tt.want)
		}
	}
}

// TestBindersReset checks that no values set each variable back to zero.
func TestBindersReset(t *testing.T) {
	num, span, mode, on, size, mood := 1, time.Second, fs.FileMode(1), true, int64(1), WarnUnknown
	word, choice, list, raw := "x", "x", []string{"x"}, []Value{{Text: "x"}}
	for _, b := range []Binder{
		Int(&num, 1, 2), Seconds(&span, 1, 0), FileMode(&mode), Bool(&on), Size(&size, 1, 2),
		String(&word), Choice(&choice, "y"), Strings(&list), Raw(&raw), UnknownKeys(&mood),
	} {
		if b.Texts() == nil {
			t.Errorf("%T holds nothing at first", b)
		}
		if err := b.Set(nil); err != nil || b.Texts() != nil {
			t.Errorf("%T: %v, %v", b, err, b.Texts())
		}
	}
}

// TestTOMLTexts checks what only a TOML file may write.
func TestTOMLTexts(t *testing.T) {
	at := Origin{Source: SourceFile, File: "f.toml", Line: 1}
	on, num := true, 0
	if err := Bool(&on).Set([]Value{{Text: "false", Origin: at}}); err != nil || on {
		t.Error(err)
	}
	if err := Bool(&on).Set([]Value{{Text: "off", Origin: at}}); err == nil {
		t.Error("off was accepted")
	}
	if err := Int(&num, 0, 2000).Set([]Value{{Text: "1_000", Origin: at}}); err != nil || num != 1000 {
		t.Error(err, num)
	}
}

// TestListsAreCopies checks that a binder does not hand out what it holds.
func TestListsAreCopies(t *testing.T) {
	list := []string{"a"}
	texts := Strings(&list).Texts()
	texts[0] = "b"
	if !slices.Equal(list, []string{"a"}) {
		t.Error(list)
	}
}
