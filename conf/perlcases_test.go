package conf

// A perlCase is what one run of Net::Server's configure is given.
type perlCase struct {
	Argv []string `json:"argv,omitempty"`
	Run  []string `json:"run,omitempty"`
	File *string  `json:"file,omitempty"` // the text of a conf file
	Path string   `json:"path,omitempty"` // the name of one

	differs string // the difference it shows, by name; "" where both must agree
}

// perlCases returns all cases of the comparison. Net::Server's answers are
// recorded in testdata/configure.json.
func perlCases() []perlCase {
	var cases []perlCase
	cases = append(cases, lineForms()...)
	cases = append(cases, lines()...)
	cases = append(cases, argForms()...)
	cases = append(cases, argLists()...)
	cases = append(cases, sources()...)
	return cases
}

func file(text string) perlCase { return perlCase{File: &text} }

func argv(args ...string) perlCase { return perlCase{Argv: args} }

func (c perlCase) with(difference string) perlCase {
	c.differs = difference
	return c
}

// lineForms is every way to write a key times every separator times values
// that could be mistaken for something else.
func lineForms() []perlCase {
	var cases []perlCase
	for _, key := range []string{"user", "--user", "  port", "\t--port"} {
		for _, sep := range []string{" ", "\t", "=", " = ", ":", " : ", "= ", " :", "  \t "} {
			for _, value := range []string{"x", "foo bar", `"in quotes"`, "= x", ":x", `a\#b`, "a#b", "0"} {
				cases = append(cases, file(key+sep+value+"\n"))
			}
		}
	}
	return cases
}

// lines is what else can stand in a conf file.
func lines() []perlCase {
	return []perlCase{
		file(""),
		file("\n\n  \n"),
		file("# only a comment\n"),
		file("   # only a comment"),
		file("user x"),
		file("user x\ngroup y\n"),
		file("user x\nuser y\n"),
		file("port 1\nport 2\nport = 3\n"),
		file("port 1, 2\n"),
		file("user foo bar  # x\n").with("trailing blanks"),
		file("allow ^127\\.\nallow \\d+\ndeny .*\n"),
		file("allow a\\#b\\#c # d \\# e\n").with("trailing blanks"),
		file(`user a\\#b` + "\n"),
		file(`user \# # x` + "\n").with("trailing blanks"),
		file("user 'it''s'\n"),
		file(`user "a # b"` + "\n").with("trailing blanks"),
		file("user a=b\n"),
		file("user=a:b\n"),
		file("user a\\\ngroup b\n"),
		file("log_level 4\nlog_file /var/log/x.log\n"),
		file("setsid 1\nbackground 0\n"),
		file("setsid yes\nbackground ON\n"),
		file("reverse_lookups double\n"),
		file("setsid off\n").with("boolean words"),
		file("setsid no\n").with("boolean words"),
		file("background false\n").with("boolean words"),
		file("background 00\n").with("boolean words"),
		file("user caf\xc3\xa9\n"),
		file("user x\xa0y\n"),
		file("user a\vb\n"),
		file("user\fx\n"),
		file("user x  \ngroup y\t\n").with("trailing blanks"),
		file("user x\r\ngroup y\r\n").with("trailing blanks"),
		file("setsid\n").with("lines that say nothing"),
		file("user\xa0x\n").with("lines that say nothing"),
		file("--setsid\n").with("lines that say nothing"),
		file("setsid # on\n").with("lines that say nothing"),
		file("max-servers 5\n").with("lines that say nothing"),
		file("-user x\n").with("lines that say nothing"),
		file("---user x\n").with("lines that say nothing"),
		file("[limits]\n").with("lines that say nothing"),
		file("user=\n").with("lines that say nothing"),
		file("user =\n").with("lines that say nothing"),
		file("user = \n").with("lines that say nothing"),
		file("user   \n").with("lines that say nothing"),
		file("= x\n").with("lines that say nothing"),
		file("max_serves 5\n").with("unknown keys"),
		file("completely_different 5\n").with("unknown keys"),
		file("User x\n").with("unknown keys"),
		file("foo user\nbar x\n").with("unknown keys"),
		file("foo user=x\n").with("unknown keys"),
		file("SSL_cert_file /etc/x.crt\n").with("unknown keys"),
		file("user --group x\n").with("values that look like keys"),
		file("setsid --foo\n").with("values that look like keys"),
		file("user %41b\n").with("percent signs"),
		file("allow 100%\n"),
		file("allow %h %a\n").with("percent signs"),
		file("allow %25\n").with("percent signs"),
		file("conf_file /etc/other.conf\nuser x\n").with("conf_file in a conf file"),
		file("\xef\xbb\xbfuser x\ngroup y\n").with("byte order mark"),
		file("user a\x00b\n").with("NUL bytes"),
		file("user x\n\n\n# c\ngroup y # z").with("trailing blanks"),
		file("port 20203|tcp\nport /tmp/x.sock|unix\n"),
		file("port [::1]:20203/tcp\n"),
		file("host *\nproto tcp\nipv *\n"),
	}
}

// argForms is every way to write a key in arguments times values.
func argForms() []perlCase {
	var cases []perlCase
	for _, value := range []string{"x", "0", "-x", "-", "a=b", "a:b", "=x", "--", "#x", `a\#b`, `"q"`, "user", "*", "a/b|c", "1"} {
		for _, key := range []string{"user", "port"} {
			cases = append(cases, argv("--"+key+"="+value), argv(key+"="+value), argv("--"+key+" "+value), argv(key+" "+value))
			if value != "user" || key != "user" {
				cases = append(cases, argv("--"+key, value, "--group", "g"), argv(key, value, "group", "g"))
			}
		}
	}
	return cases
}

// argLists is what else can stand in a list of arguments.
func argLists() []perlCase {
	return []perlCase{
		argv("--setsid"),
		argv("setsid"),
		argv("--setsid", "--background"),
		argv("--setsid", "1", "--background", "0"),
		argv("--setsid", "yes"),
		argv("--setsid=on", "background=true"),
		argv("--reverse_lookups", "double"),
		argv("--reverse_lookups"),
		argv("--reverse_lookups", "--user", "x"),
		argv("--setsid", "off").with("boolean words"),
		argv("--background=no").with("boolean words"),
		argv("--setsid", "00").with("boolean words"),
		argv("--setsid", "user=x").with("a boolean before another key"),
		argv("setsid", "user", "x").with("a boolean before another key"),
		argv("--background", "setsid", "--user", "x").with("a boolean before another key"),
		argv("--user").with("a key without its value"),
		argv("--user", "--group", "x").with("a key without its value"),
		argv("port", "--foo").with("a key without its value"),
		argv("--port", "80", "--user").with("a key without its value"),
		argv("--user", ""),
		argv("user", "", "group", "x"),
		argv("--port", "1", "--port", "2", "port=3", "port", "4"),
		argv("--user", "x", "--user", "y"),
		argv("--user", "a b"),
		argv("--user", "a\nb"),
		argv("--user=").with("KEY= with nothing behind it"),
		argv("--user=", "x").with("KEY= with nothing behind it"),
		argv("user=", "port=1").with("KEY= with nothing behind it"),
		argv("--user=a b").with("KEY=VALUE with blanks"),
		argv("user=a\tb").with("KEY=VALUE with blanks"),
		argv("--allow=^a b$").with("KEY=VALUE with blanks"),
		argv("--user a b"),
		argv("--user  x"),
		argv("user\tx"),
		argv("-user", "x"),
		argv("-u", "--user", "x"),
		argv("---user", "x"),
		argv("--User", "x"),
		argv("--max-servers", "5"),
		argv("--foo", "bar"),
		argv("--foo", "user", "x"),
		argv("--foo", "user=x", "bar"),
		argv("--foo=1", "--user", "x", "--bar", "--", "y"),
		argv("app", "file.txt"),
		argv("app", "port", "1", "file.txt"),
		argv("--", "--user", "x"),
		argv("--", "cat", "-n"),
		argv("--user", "--", "x"),
		argv("--user", "-x"),
		argv("--user", "---x"),
		argv("--user", "--=x"),
		argv("", "--user", "x", ""),
		argv("=x", "--=x", "--"),
		argv("--user=%41b").with("percent signs"),
		argv("--user", "%2e%2E").with("percent signs"),
		argv("--user", "100%"),
		argv("--user", "%"),
		argv("--user", "%g"),
		argv("--sig_passthrough", "hup,usr1", "--sig_passthrough", "usr2").with("sig_passthrough"),
		argv("--allow", "a", "--deny", "b", "--allow", "c"),
		argv("--log_level", "4", "--log_file", "Sys::Syslog"),
		argv("caf\xc3\xa9", "--user", "caf\xc3\xa9"),
	}
}

// sources is how command line, run arguments and conf file go together.
func sources() []perlCase {
	conf := "user file\nport 1\nport 2\nallow file\n"
	none := ""
	return []perlCase{
		{Argv: []string{"--user", "argv"}, Run: []string{"user", "run"}, File: &conf},
		{Argv: []string{"--group", "argv"}, Run: []string{"user", "run"}, File: &conf},
		{Argv: []string{"--group", "argv"}, Run: []string{"chroot", "run"}, File: &conf},
		{Argv: []string{"--port", "3"}, Run: []string{"port", "4", "port", "5"}, File: &conf},
		{Run: []string{"port", "4", "port", "5"}, File: &conf},
		{Run: []string{"port", "4", "host", "h"}, File: &conf},
		{Argv: []string{"--host", "h"}, File: &conf},
		{Argv: []string{"--user", ""}, Run: []string{"user", "run"}, File: &conf},
		{Argv: []string{"--user", "0"}, Run: []string{"user", "run"}, File: &conf},
		{Run: []string{"user", ""}, File: &conf},
		{Argv: []string{"--allow", ""}, File: &conf},
		{Argv: []string{"--setsid"}, Run: []string{"setsid", "0"}, File: &none},
		{Argv: []string{"--foo", "--user", "argv"}, Run: []string{"bar", "baz"}, File: &conf},
		{Run: []string{"user", "run", "user", "again"}},
		{Run: []string{"--user=run", "port=1", "port", "2"}},
		{Run: []string{"setsid", "background"}, differs: "a boolean before another key"},
		{Run: []string{"user"}, differs: "a key without its value"},
		{Run: []string{"user", "%61"}, differs: "percent signs"},
		{Path: "testdata", differs: "conf files that cannot be read"},
		{Path: "testdata/missing.conf", differs: "conf files that cannot be read"},
		{Path: "testdata/with blanks.conf", differs: "conf files that cannot be read"},
	}
}
