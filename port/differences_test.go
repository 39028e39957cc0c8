package port

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A difference is one way in which netserver deliberately answers otherwise
// than Net::Server. A case shows it if all that is set here fits; of several
// the first counts.
type difference struct {
	does    string // what netserver does, in one sentence
	kinds   string // words of: refused accepted rows log, as contrast says
	before  string // only versions of Net::Server before this one differ
	pattern string // a regular expression for the case
	perl    string // and one for Net::Server's answer
	example string // a case that shows it
	reason  string
}

// anUnixRow ends the pattern for a row of a UNIX socket.
const anUnixRow = `, [\w:]*(?i:unix)\w*, \*`

var differences = []difference{
	{
		does: "A port above 65535 is refused.", kinds: "refused",
		perl:    `^[^,]*, (\d{6,}|6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4}), `,
		example: `"127.0.0.1:99999"`,
		reason:  "Net::Server listens on the remainder of a division by 65536.",
	},
	{
		does: "A text that begins with a slash is a socket path and needs its protocol.", kinds: "refused",
		pattern: `^"/`,
		example: `"/20203"`,
		reason:  "Net::Server reads a slash with nothing before it as port 0.",
	},
	{
		does: "A number after a slash is not a protocol.", kinds: "refused",
		perl:    `^[^,]*, [^,]+, \d+, [46*]`,
		example: `"localhost/20203" ipv="4"`,
		reason:  "It is meant for the port.",
	},
	{
		does: "A third IPv word is refused.", kinds: "refused",
		pattern: `(?i)IPv[46].*IPv[46].*IPv[46]`,
		example: `"20203/IPv4/IPv6/IPv4"`,
		reason:  "Net::Server takes it for a part of something else, here for the protocol.",
	},
	{
		does: "A port is a number or the name of a service, and nothing else.", kinds: "refused",
		perl:    `^[^,]*, .*[^\w].*, [\w:]+, [46*]( \{|$| \+)`,
		example: `"20203-20205" ipv="4"`,
		reason:  "Net::Server keeps anything if the family is given, and fails when it opens the port: ranges, a host without a port, two protocols, host/port.",
	},
	{
		does: "A service that is unknown to both tcp and udp is refused even if the family is given.", kinds: "refused",
		perl:    `^[^,]*, (HTTP|My|foo|tcp|udp|ssl|unix|a|b|IPv4|IPv6|sock_dgram|mytcp|localhost|x), [\w:]+, [46]( \{|$| \+)`,
		example: `"HTTP" ipv="4"`,
		reason:  "A check of the configuration should find it. A service that only the other one has is left to whoever opens the port, as in Net::Server.",
	},
	{
		does: "A number other than 0 is not a host.", kinds: "refused",
		pattern: `"\d+[,| :]+(\d+|mytcp)"|host="\d+"`,
		example: `"20201,20202"`,
		reason:  "It is meant for a second port, or the word after it for a protocol. Net::Server reads an address: 20201 is 0.0.78.233.",
	},
	{
		does: "A host with a colon must be an IPv6 address, and no host has a slash.", kinds: "refused",
		perl:    `^[^,]*[:/][^,]*, \w+, [\w:]+, [46]`,
		example: `"127.0.0.1:20203:20204" ipv="4"`,
		reason:  "Nothing else can be looked up.",
	},
	{
		does: "An IPv6 address without a port is refused.", kinds: "refused",
		pattern: `"(::1|fe80::1|2001:db8::\w+)(/tcp)?"`,
		example: `"::1"`,
		reason:  "Net::Server takes the last group for the port, and so listens on every address. A longer one such as ::1:80 still has a port, as its manual shows.",
	},
	{
		does: "Protocol 0 is refused.", kinds: "refused",
		pattern: `/0"|proto="0"`,
		example: `"20203/0"`,
		reason:  "Net::Server takes it for none; it is meant for the port, or for nothing that can be known.",
	},
	{
		does: "The name of a family is not a protocol.", kinds: "refused",
		perl:    `^[^,]*, [^,]+, (v[46]|IPv[46]), [46*]`,
		example: `"20203/v4"`,
		reason:  "IPv4 was meant.",
	},
	{
		does: "An ipv has 4, 6 and * in it and no other number.", kinds: "refused",
		pattern: `(?i)IPv(0|5|45|4x)|(ipv=|ipv:|IPV=)"?(45|5)`,
		example: `"20203" IPV=45`,
		reason:  "Net::Server is content with one right character.",
	},
	{
		does: "A unix_type is given once, to a UNIX socket, and agrees with its protocol.", kinds: "refused",
		pattern: `(?i)sock_(stream|dgram)|unix_type`,
		example: `"20203|sock_dgram"`,
		reason:  "Net::Server ignores it, or reads a second one as a path.",
	},
	{
		does: "A UNIX socket has no host in its text but a wildcard.", kinds: "refused",
		perl:    `^[^*,]+, \w+` + anUnixRow,
		example: `"x y|unix"`,
		reason:  "It is meant for a part of the path.",
	},
	{
		does: "A socket path must be one that the system can bind, and must not end in what reads as another part of the text.", kinds: "refused",
		perl:    `^[^,]*, .{104,}` + anUnixRow + `|^[^,]*, ([:,|/ ]|.*[:,|/]|\*|0|[\[\]*]*)` + anUnixRow,
		example: `"0" proto="unix"`,
		reason:  "Net::Server fails when it opens the port, or opens a file named 0.",
	},
	{
		does: "A port given twice with different settings is refused.", kinds: "refused",
		pattern: `SSL_cert_file:"a".*SSL_cert_file:"b"`,
		example: `[{SSL_cert_file:"a" port:"443" proto:"ssl"} {SSL_cert_file:"b" port:"443" proto:"ssl"}] host="127.0.0.1" ipv="4"`,
		reason:  "Net::Server drops the second, and with it, say, a certificate. One that is the same throughout is still dropped with a note.",
	},

	{
		does: "Blanks around a text are trimmed.", kinds: "accepted rows",
		pattern: `(^|=)"( |\\t)|( |\\n|\\t)"( |$)`,
		example: `"20203 " host="127.0.0.1"`,
		reason:  "They mean nothing.",
	},
	{
		does: "Services are looked up under udp for udp and under tcp for every other protocol, in any case.", kinds: "accepted",
		pattern: `https?|domain`, perl: `Could not determine port number from host \[[^]]*\]:(https?|domain|http-alt)$`,
		example: `"127.0.0.1:https/ssl"`,
		reason:  "No system lists services for ssl or TCP.",
	},
	{
		does: "A link-local address may have a zone.", kinds: "accepted",
		pattern: `fe80::1%eth0`,
		example: `"[fe80::1%eth0]:20203"`,
		reason:  "It cannot be bound without one. Other hosts still have no % in them.",
	},
	{
		does: "tls is a protocol, the same as ssl and ssleay.", kinds: "accepted rows",
		pattern: `[| ]tls`,
		example: `"20203|tls"`,
		reason:  "It is today's name. Net::Server knows it after a slash only, as a class of somebody's own.",
	},
	{
		does: "A service with a hyphen may stand after a host.", kinds: "accepted rows",
		pattern: `:http-alt`,
		example: `"localhost:http-alt"`,
		reason:  "Net::Server finds no host in such a text.",
	},
	{
		does: "Port 0 may be given in a map.", kinds: "accepted",
		pattern: `{port:"0"`,
		example: `[{port:"0"}] ipv="4"`,
		reason:  "It means the same there as in a text. A missing or empty port is still an error.",
	},
	{
		does: "The port of a map may be a whole specification, unless the protocol is unix. What it and a key both name is an error.", kinds: "accepted rows refused",
		pattern: `{.*port:"[^"]*[:/|]`,
		example: `[{ipv:"4" port:"127.0.0.1:20203"}]`,
		reason:  "Net::Server keeps the text whole, so that the port cannot be opened.",
	},
	{
		does: "A default protocol unix makes a path of a text that begins with a slash, whatever its last word is.", kinds: "accepted rows",
		pattern: `^"/.* proto="unix"`, perl: `Could not determine port number|, 0, tcp`,
		example: `"/run/xsock" proto="unix"`,
		reason:  "Net::Server takes xsock for a protocol.",
	},

	{
		does: "The words for unix_type may be written in upper case or as numbers. They are kept as sock_stream and sock_dgram.", kinds: "rows",
		pattern: `SOCK_(DGRAM|STREAM)|unix_type:"2"`,
		example: `"/run/x.sock|SOCK_DGRAM|unix"`,
		reason:  "Net::Server accepts them so in a map, but in a text reads a host and a path.",
	},
	{
		does: "A path that begins with /, ./ or @ may have any characters but control characters, and any directory names.", kinds: "accepted rows",
		pattern: `^"[/.@]`,
		example: `"/run/ipv6/x.sock|unix"`,
		reason:  "Net::Server cuts such words out of the path, or splits it at a comma or blank into a host and a path. An @ begins an abstract name on Linux.",
	},
	{
		does: "The further keys of a map stay with the port whatever its ipv is.", kinds: "rows",
		pattern: `^\[{SSL_cert_file:`,
		example: `[{SSL_cert_file:"c" listen:"6" port:"20203"}]`,
		reason:  "Net::Server loses them where it looks the host up.",
	},
	{
		does: "Every protocol with unix in its name has socket paths, and ipv *.", kinds: "rows",
		pattern: `Proto::UNIX`,
		example: `"x|Net::Server::Proto::UNIX" ipv="4"`,
		reason:  "In Net::Server that depends on whether a family is given.",
	},
	{
		does: "An address that the resolver gives in the form ::ffff:192.0.2.9 is an IPv4 address.", kinds: "rows",
		pattern: `mapped\.test`,
		example: `"mapped.test:20203"`,
		reason:  "Net::Server cannot bind the other form.",
	},
	{
		does: "Port 0 stays 0 in every row.", kinds: "rows",
		pattern: `dual\.test:0`,
		example: `"dual.test:0"`,
		reason:  "Reading a configuration opens nothing. Whoever opens the rows gives all of them the number of the first.",
	},
	{
		does: "Lists are paired by the position of the port.", kinds: "rows",
		pattern: `^\[.*=\[`,
		example: `["1" "1" "2"] host=["127.0.0.1" "127.0.0.1" "127.0.0.2"]`,
		reason:  "Net::Server counts rows, so that a port with two rows, or a duplicate, shifts all that follow.",
	},
	{
		does: "Spellings of one protocol are duplicates: tcp and TCP; ssl, ssleay and tls.", kinds: "rows",
		pattern: `20203/tcp" "20203/TCP|20203/ssl" "20203/ssleay`,
		example: `["20203/ssl" "20203/ssleay"]`,
		reason:  "Net::Server fails to bind the second.",
	},

	{
		does: "The note for NO_IPV6 says so.", kinds: "log",
		pattern: `NO_IPV6`,
		example: `"20203" NO_IPV6`,
		reason:  "Net::Server shows an error of Perl's.",
	},

	{
		does: "NO_IPV6 bears on wildcards only.", kinds: "rows", before: "2.018",
		pattern: `dual\.test.* NO_IPV6`,
		example: `"dual.test:20203" NO_IPV6`,
		reason:  "Older versions left out the IPv6 addresses of names too.",
	},
	{
		does: "Host 0 is a wildcard.", kinds: "rows", before: "2.018",
		pattern: `"0:20203"|host="0"`,
		example: `"0:20203"`,
		reason:  "To older versions it was 0.0.0.0.",
	},
	{
		does: "Without IPv6 on the machine, an entry without a family is one for IPv4, and its names are kept until the port is opened.", kinds: "rows", before: "2.018",
		pattern: `no IPv6 on the machine`,
		example: `"localhost:http" (no IPv6 on the machine)`,
		reason:  "Older versions looked names up.",
	},
}

// differenceFor returns the place in differences of the first one that a case
// shows, or -1.
func differenceFor(k kase, kind string, perl result, version string) int {
	for i, d := range differences {
		if strings.Contains(d.kinds, kind) && d.concerns(version) &&
			regexp.MustCompile(d.pattern).MatchString(k.String()) && regexp.MustCompile(d.perl).MatchString(perl.String()) {
			return i
		}
	}
	return -1
}

// concerns reports whether a version of Net::Server shows the difference.
// Versions have three decimals, so that their texts compare.
func (d difference) concerns(version string) bool {
	return d.before == "" || version < d.before
}

const differencesHead = `# Where port specifications differ from Net::Server's

Every case of the differential test gives the same rows and notes as
Net::Server, or is refused by both, or shows one of these deliberate
differences. Error texts begin alike, but then name the bad part and what to
write instead. This page is made from the test's table and recordings: run
` + "`go test ./port -run TestDifferences -update`" + ` after a change.

An example is the text of the port, then defaults; a list stands in [], a map
in {}. Results are host, port, protocol, ipv.

`

// TestDifferences checks that DIFFERENCES.md says what the table and the two
// programs say, and that each example shows its difference.
func TestDifferences(t *testing.T) {
	const file, newest = "DIFFERENCES.md", "2.018"
	byText := map[string]kase{}
	for _, k := range cases() {
		byText[k.String()] = k
	}
	answers := map[string]map[string]result{
		newest:  readRecording(t, recording(newest)),
		"2.013": readRecording(t, recording("2.013")),
	}
	var b strings.Builder
	b.WriteString(differencesHead)
	for i, d := range differences {
		version := newest
		if d.before != "" {
			version = "2.013"
		}
		k, ok := byText[d.example]
		if !ok {
			t.Errorf("%q: no case %s", d.does, d.example)
			continue
		}
		perl, got := answers[version][d.example], k.ask()
		if n := differenceFor(k, contrast(got, perl), perl, version); n != i {
			t.Errorf("%q: the example %s shows difference %d, not %d", d.does, d.example, n, i)
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n```\n%s\nNet::Server %s: %s\nnetserver: %s\n```\n\n", d.does, d.reason, d.example, version, perl.full(), got.full())
	}
	want := strings.TrimSuffix(b.String(), "\n")
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if is, err := os.ReadFile(file); err != nil || string(is) != want {
		t.Errorf("%s is not current (%v); run go test ./port -run TestDifferences -update", file, err)
	}
}

// full shows a result, and its notes if there are only those to compare.
func (r result) full() string {
	for _, line := range r.Log {
		if strings.Contains(line, "resolved to IPv6 address [::] but") {
			return r.String() + "; " + line
		}
	}
	return r.String()
}
