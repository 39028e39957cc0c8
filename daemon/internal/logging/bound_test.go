package logging

import (
	"testing"

	"netserver/port"
)

func TestAdminURL(t *testing.T) {
	for _, c := range []struct {
		spec port.Spec
		want string
	}{
		{port.Spec{Host: "127.0.0.1", Port: "8080", Proto: port.TCP, IPv: "4"}, "http://127.0.0.1:8080/"},
		{port.Spec{Host: "::1", Port: "8080", Proto: port.TCP, IPv: "6"}, "http://[::1]:8080/"},
		{port.Spec{Host: "192.0.2.1", Port: "9443", Proto: port.SSL, IPv: "4"}, "https://192.0.2.1:9443/"},
		{port.Spec{Host: "*", Port: "9443", Proto: port.SSL, IPv: "*"}, "https://localhost:9443/"},
		{port.Spec{Host: "0.0.0.0", Port: "8080", Proto: port.TCP, IPv: "4"}, "http://localhost:8080/"},
		{port.Spec{Port: "/run/netserver/admin.sock", Proto: port.Unix}, "curl --unix-socket /run/netserver/admin.sock http://localhost/"},
		{port.Spec{Port: "/run/it's $x", Proto: port.UnixSSL}, `curl --unix-socket '/run/it'\''s $x' https://localhost/`},
	} {
		if got := AdminURL(c.spec); got != c.want {
			t.Errorf("%v: %s, want %s", c.spec, got, c.want)
		}
	}
}
