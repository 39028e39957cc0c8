package port_test

import (
	"flag"
	"io"
	"slices"
	"testing"

	"netserver/port"
)

func TestFlag(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
		bad  bool
	}{
		{nil, []string{"7/tcp"}, false},
		{[]string{"-port", "127.0.0.1:1/udp", "-port", "/run/x|unix"}, []string{"127.0.0.1:1/udp", "/run/x|unix"}, false},
		{[]string{"-port", "a:b:c:d/e/f/g"}, []string{"7/tcp"}, true},
	} {
		f := flag.NewFlagSet("", flag.ContinueOnError)
		f.SetOutput(io.Discard)
		list := []port.Spec{{Host: "*", Port: "7", Proto: "tcp"}}
		f.Func("port", "port to listen on", port.Flag(&list))
		err := f.Parse(tt.args)
		var got []string
		for _, s := range list {
			got = append(got, s.Short())
		}
		if (err != nil) != tt.bad || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v", tt.args, got, err)
		}
	}
}
