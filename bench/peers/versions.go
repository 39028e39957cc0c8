package peers

import (
	"os/exec"
	"regexp"
)

// Versions returns what the installed peers, and what they are made of, call
// themselves, such as "nginx 1.22.1".
func Versions() []string {
	var all []string
	for _, ask := range []struct {
		title, form string
		command     []string
	}{
		{"stunnel", `stunnel ([0-9.]+)`, []string{"stunnel4", "-version"}},
		{"Hitch", `hitch ([0-9.]+)`, []string{"hitch", "--version"}},
		{"HAProxy", `version ([0-9.]+)`, []string{"haproxy", "-v"}},
		{"nginx", `nginx/([0-9.]+)`, []string{"nginx", "-v"}},
		{"ghostunnel", `([0-9.]+)`, []string{"ghostunnel", "--version"}},
		{"Perl", `(.+)`, []string{"perl", "-e", `printf "%vd", $^V`}},
		{"Net::Server", `(.+)`, []string{"perl", "-MNet::Server", "-e", "print Net::Server->VERSION"}},
		{"IO::Socket::SSL", `(.+)`, []string{"perl", "-MIO::Socket::SSL", "-e", "print IO::Socket::SSL->VERSION"}},
		{"OpenSSL", `OpenSSL ([0-9.]+)`, []string{"openssl", "version"}},
	} {
		path, err := (Peer{program: ask.command[0]}).path()
		if err != nil {
			continue
		}
		out, err := exec.Command(path, ask.command[1:]...).CombinedOutput()
		if m := regexp.MustCompile(ask.form).FindSubmatch(out); m != nil && err == nil {
			all = append(all, ask.title+" "+string(m[1]))
		}
	}
	return all
}
