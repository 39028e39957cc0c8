package docs_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// names returns page, module and name of each line of testdata/modules.txt.
func names(t *testing.T) (list [][3]string) {
	t.Helper()
	b, err := os.ReadFile("testdata/modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] != "#" {
			for _, name := range f[2:] {
				list = append(list, [3]string{f[0], f[1], name})
			}
		}
	}
	return list
}

// Whoever moves a program looks for the names that it calls: each has to be in
// the first cell of a row.
func TestNamesOfModulesHaveARow(t *testing.T) {
	pages := map[string]map[string]bool{}
	word := regexp.MustCompile(`[A-Za-z_0-9]+`)
	for _, n := range names(t) {
		page := pages[n[0]]
		if page == nil {
			page = map[string]bool{}
			b, err := os.ReadFile(n[0])
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				if cells := strings.Split(line, "|"); len(cells) > 2 && cells[0] == "" {
					for _, w := range word.FindAllString(cells[1], -1) {
						page[w] = true
					}
				}
			}
			pages[n[0]] = page
		}
		if !page[n[2]] {
			t.Errorf("%s has no row for %s of %s", n[0], n[2], n[1])
		}
	}
}

// The list is the original's: what the installed modules define or document.
func TestNamesOfModulesAreTheOriginals(t *testing.T) {
	perl := netservertest.PerlModule(t, "Net::Server", "IO::Socket::SSL")
	text := map[string]string{}
	for _, n := range names(t) {
		if _, ok := text[n[1]]; !ok {
			const program = `my $m = shift; eval "require $m"; (my $f = "$m.pm") =~ s,::,/,g; my ($d) = $INC{$f} =~ /(.*)\.pm$/;
				my @f = ($INC{$f}, "$d.pod", glob("$d/*.pm")); push @f, $INC{"Net/Server.pm"} if eval { require Net::Server };
				for (@f) { open my $h, "<", $_ or next; local $/; print <$h> }`
			out, err := exec.Command(perl, "-e", program, n[1]).Output()
			if err != nil {
				t.Fatalf("%s: %v", n[1], err)
			}
			text[n[1]] = string(out)
		}
		if !regexp.MustCompile(`\b` + n[2] + `\b`).MatchString(text[n[1]]) {
			t.Errorf("%s has no %s", n[1], n[2])
		}
	}
}
