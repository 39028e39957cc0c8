package daemon

import (
	"slices"
	"testing"

	"netserver/conf"
	"netserver/daemon/internal/supervisor"
)

// Of every key of the processes and of the log it is known what a reload makes
// of it: it takes it over, or says that it does not. All other keys are for
// the workers, which a reload begins anew.
func TestEveryKeyOfTheProcessesIsReloadedOrNamed(t *testing.T) {
	applied := []string{
		"log_level", "user", "group", "chroot", "no_new_privs", "landlock", "landlock_write", "seccomp", "key_isolation", "sign_rate",
		"limit_nofile", "limit_core", "limit_nproc", "limit_as", "limit_memlock", // of new workers
		"strict_files", "hup_grace", "leave_children_open_on_hup", "worker_timeout", // of the configuration in force
		"server_type", "conf_file", "unknown_keys", "check", "peer", "peer_host", "cert", "sni", "alpn", "exec_env", // what reads them
		"access_log_limit", // of new workers
	}
	var named []string
	old, now := new(Config), new(Config)
	mode := now.Process.Umask
	now.LogFile, now.LogFormat, now.AccessLog = "a", "json", "a"
	now.Syslog.Ident, now.Syslog.Facility, now.Syslog.LogOpt, now.Syslog.LogSock = "a", "a", "a", "a"
	p := &now.Process
	p.PIDFile, p.Background, p.Setsid, p.Supervisor, p.SigPassthrough = "a", true, true, "0", []string{"WINCH"}
	p.Admin = AdminConfig{"127.0.0.1:1", true, true, []string{"a"}, true}
	p.Control.Socket, p.Control.Mode, p.Control.Owner = "a", 0o666, "a"
	if err := old.Process.setUmask([]conf.Value{{Text: "022"}}); err != nil || mode != nil {
		t.Fatal(err)
	}
	v := new(invocation)
	named = supervisor.NeedsStart(v.settings(old), v.settings(now))
	set := new(conf.Set)
	new(Config).Define(set)
	groups := []string{groupProcess, groupServer}
	for _, k := range set.Keys() {
		if !slices.Contains(groups, k.Group) {
			continue
		}
		if in, told := slices.Contains(applied, k.Name), slices.Contains(named, k.Name); in == told {
			t.Errorf("%s (%s): taken over by a reload %v, named as what stays %v", k.Name, k.Group, in, told)
		}
	}
	if again := supervisor.NeedsStart(v.settings(now), v.settings(now)); len(again) > 0 {
		t.Error(again)
	}
}
