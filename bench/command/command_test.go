package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestParse: flags are read, and nothing else is taken.
func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"":              "",
		"-n 3":          "",
		"-n 3 more":     `unexpected argument "more"`,
		"-n many":       "invalid value",
		"-unknown":      "not defined",
		"-h":            "help requested",
		"-n 3 -n 4 -- ": "",
	} {
		var said bytes.Buffer
		fs := Flags("x", "usage: x [flags]\n", &said)
		fs.Int("n", 1, "a number")
		err := Parse(fs, strings.Fields(args))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
		if args == "-h" && (!errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(said.String(), "usage: x [flags]\n") || !strings.Contains(said.String(), "a number")) {
			t.Errorf("help: %v, %q", err, said.String())
		}
	}
}

// TestInside: both bounds are inside.
func TestInside(t *testing.T) {
	for n, ok := range map[int]bool{1: false, 2: true, 5: true, 6: false} {
		if err := Inside("rounds", n, 2, 5); (err == nil) != ok {
			t.Errorf("%d: %v", n, err)
		}
	}
	if err := Inside("rounds", 6, 2, 5); err.Error() != "-rounds 6: must be from 2 to 5" {
		t.Error(err)
	}
}

// TestNames are taken apart at commas and blanks.
func TestNames(t *testing.T) {
	if got := Names("a,b, c"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%q", got)
	}
	if got := Names(""); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestWorkspace is open to other users, takes a program that is there, and goes.
func TestWorkspace(t *testing.T) {
	w, err := NewWorkspace(t.Context(), "test", "/bin/true", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(w.Dir); err != nil || info.Mode().Perm() != 0o755 || w.Binary != "/bin/true" {
		t.Errorf("%v, %v, %q", info, err, w.Binary)
	}
	w.Remove()
	if _, err := os.Stat(w.Dir); !os.IsNotExist(err) {
		t.Errorf("after Remove: %v", err)
	}
}

// roleEnv tells a copy of this program how Main's run shall end.
const roleEnv = "COMMAND_TEST_END"

func TestMain(m *testing.M) {
	if end, ok := os.LookupEnv(roleEnv); ok {
		Main("prog", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
			switch end {
			case "well":
				return nil
			case "help":
				return flag.ErrHelp
			case "other":
				return exec.CommandContext(ctx, "false").Run()
			}
			return errors.New(end)
		})
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestMainEnds with the status and the line of what run returned.
func TestMainEnds(t *testing.T) {
	for end, want := range map[string]struct {
		line   string
		status int
	}{"well": {"", 0}, "help": {"", 0}, "other": {"", 1}, "it is over": {"prog: it is over\n", 1}} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleEnv+"="+end)
		b, _ := cmd.CombinedOutput()
		if string(b) != want.line || cmd.ProcessState.ExitCode() != want.status {
			t.Errorf("%s: %q, exit status %d", end, b, cmd.ProcessState.ExitCode())
		}
	}
}
