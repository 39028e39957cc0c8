//go:build unix

package logs

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The original sends the same priorities and tags, and the daemon of this
// machine has the same form from both.
func TestSyslogAsNetServer(t *testing.T) {
	perl, err := exec.LookPath("perl")
	needPeer(t, err, "perl")
	needPeer(t, exec.Command(perl, "-MNet::Server", "-MSys::Syslog", "-e1").Run(), "Perl's Net::Server with Sys::Syslog")

	const program = `
		my ($path, $ident, $facility, $logopt) = @ARGV;
		Sys::Syslog::setlogsock({type => "unix", path => $path}) or die "setlogsock";
		my %args = (log_file => "Sys::Syslog", log_level => 4);
		$args{syslog_ident} = $ident if $ident;
		$args{syslog_facility} = $facility if $facility;
		$args{syslog_logopt} = $logopt if $logopt;
		my $s = Net::Server->new(%args);
		$s->configure; $s->initialize_logging;
		$s->log($_, "level %d of %s", $_, "100%") for 0 .. 4`
	for _, tt := range []struct{ ident, facility, logopt string }{
		{}, {"my_app", "local3", "pid"}, {"my app", "LOG_MAIL", "ndelay,nofatal"}, {"x", "authpriv", "pid|nowait"},
	} {
		d := startSyslog(t, "unixgram", "")
		cmd := exec.Command(perl, "-MNet::Server", "-MSys::Syslog", "-e", program, d.addr, tt.ident, tt.facility, tt.logopt)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		theirs := d.wait("of the original", 5)[:5]

		form := Syslog{Ident: tt.ident}
		if form.Facility, err = SyslogFacility(tt.facility); err != nil && tt.facility != "" {
			t.Fatal(err)
		}
		if tt.logopt == "" || strings.Contains(tt.logopt, "pid") {
			form.PID = cmd.Process.Pid
		}
		a, _ := writerTo(t, targetOf(t, "unixgram", d.addr), 0, nil)
		log := slog.New(form.New(a, Options{Level: slog.LevelDebug}))
		for i, l := range []slog.Level{slog.LevelError, slog.LevelWarn, Notice, slog.LevelInfo, slog.LevelDebug} {
			log.Log(context.Background(), l, fmt.Sprintf("level %d of 100%%", i))
		}
		for i, ours := range d.wait("ours", 10)[5:] {
			// Sys::Syslog ends its records in a newline and a zero byte, as C
			// programs did; daemons strip both.
			if got, want := withoutTime(ours), withoutTime(strings.TrimRight(theirs[i], "\n\x00")); got != want {
				t.Errorf("the original sent %q, we %q", want, got)
			}
		}
		d.close()
	}
}

var bsdTime = regexp.MustCompile(`^(<\d+>)[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d `)

func withoutTime(rec string) string { return bsdTime.ReplaceAllString(rec, "${1}TIME ") }

// logger of util-linux speaks both forms.
func TestSyslogAsLogger(t *testing.T) {
	logger, err := exec.LookPath("logger")
	needPeer(t, err, "logger")
	for _, network := range []string{"unixgram", "udp", "tcp"} {
		d := startSyslog(t, network, "")
		args := []string{"--id=77", "-p", "local1.warning", "-t", "app"}
		if network == "unixgram" {
			args = append(args, "-u", d.addr)
		} else {
			host, port, _ := net.SplitHostPort(d.addr)
			args = append(args, "-n", host, "-P", port, "--"+network, "--rfc5424=notq", "--octet-count")
		}
		if network == "udp" {
			args = args[:len(args)-1] // a datagram is a frame
		}
		cmd := exec.Command(logger, append(args, "a message")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("this logger is another: %v: %s", err, out)
		}
		theirs := d.wait("of logger", 1)[0]

		target := targetOf(t, network, d.addr)
		fac, _ := SyslogFacility("local1")
		form := Syslog{Ident: "app", Facility: fac, PID: 77, Network: target.Network(), Max: target.MaxRecord()}
		a, _ := writerTo(t, target, 0, nil)
		slog.New(form.New(a, Options{})).Warn("a message")
		ours := d.wait("ours", 2)[1]
		if network == "unixgram" {
			if withoutTime(ours) != withoutTime(theirs) {
				t.Errorf("logger sent %q, we %q", theirs, ours)
			}
			continue
		}
		a1, a2 := rfc5424(t, theirs), rfc5424(t, ours)
		if a1 != a2 {
			t.Errorf("logger sent %+v, we %+v", a1, a2)
		}
	}
}

// A header is RFC 5424's, without the time.
type header struct {
	priority                      int
	host, app, pid, id, data, msg string
}

// rfc5424 reads a record as the RFC's grammar has it.
func rfc5424(t *testing.T, rec string) header {
	t.Helper()
	m := regexp.MustCompile(`^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (-|\[.*\]) (.*)$`).FindStringSubmatch(rec)
	if m == nil {
		t.Fatalf("not RFC 5424: %q", rec)
	}
	if _, err := time.Parse(time.RFC3339Nano, m[2]); err != nil {
		t.Error(err)
	}
	pri, _ := strconv.Atoi(m[1])
	return header{pri, m[3], m[4], m[5], m[6], m[7], m[8]}
}
