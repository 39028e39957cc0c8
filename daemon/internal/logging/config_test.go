package logging

import (
	"strings"
	"testing"
)

func TestToSyslog(t *testing.T) {
	for name, want := range map[string]bool{
		"Sys::Syslog": true, "sys::syslog": true, "Net::Server::Log::Sys::Syslog": true, "syslog": true,
		"": false, "/var/log/syslog": false, "syslog.log": false,
	} {
		if got := ToSyslog(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestSyslogOptions(t *testing.T) {
	for text, want := range map[string]syslogOptions{
		"": {pid: true, nofatal: true}, "pid": {pid: true}, "nofatal": {nofatal: true},
		"ndelay|nowait": {}, "pid, nofatal ndelay": {pid: true, nofatal: true},
	} {
		if got, err := parseSyslogOptions(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"pid,cons": "console", "pid,perror": `unknown word "perror"`} {
		if err := CheckSyslogOptions(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Every fault is reported, with its key, and only for a log that goes to syslog.
func TestCheck(t *testing.T) {
	c := Config{File: "syslog", Syslog: Syslog{Facility: "attic", Options: "loud", Socket: "udp:"}}
	err := c.Check()
	for _, key := range []string{"syslog_facility: ", "syslog_logopt: ", "syslog_logsock: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("no fault of %s: %v", key, err)
		}
	}
	if c.File = "/var/log/x"; c.Check() != nil {
		t.Error(c.Check())
	}
}
