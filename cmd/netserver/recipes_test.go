//go:build unix

package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netserver/netservertest"
)

// docs/RECIPES.md is run as it is printed: of each section the server commands
// and the conf file, one after the other, and with each of them the client
// commands, whose output has to be the one that is shown. Files, the ports of
// the servers behind and the ports that are free here replace those in print.

const examplesDir = "../../packaging/examples"

// A recipe makes what a section of docs/RECIPES.md presumes.
type recipe struct {
	section  string // its heading
	programs []string
	setUp    func(*kitchen)
	after    func(*kitchen) // nil, or what else must hold once the clients have been served
}

// A kitchen is where a recipe is tried: a directory in which the certificates
// and sockets of its commands are, and the ports that theirs became.
type kitchen struct {
	*testing.T
	dir    string
	ports  map[string]string
	server *server
	more   string // arguments of the server that are not in print
	toml   bool   // it was started with the conf file
}

// port returns the port that stands here for one in print.
func (k *kitchen) port(printed string) string {
	if k.ports[printed] == "" {
		k.ports[printed] = netservertest.FreePort(k)
	}
	return k.ports[printed]
}

func (k *kitchen) path(name string) string { return filepath.Join(k.dir, name) }

// certificate makes NAME.pem, certificate and key, of the authority whose own
// certificate is ca.pem.
func (k *kitchen) certificate(file string, leaf netservertest.Leaf) {
	k.Helper()
	pair := netservertest.CA(k).Issue(k, leaf)
	chain, err := os.ReadFile(pair.CertFile)
	if err != nil {
		k.Fatal(err)
	}
	key, err := os.ReadFile(pair.KeyFile)
	if err != nil {
		k.Fatal(err)
	}
	write(k, k.path(file), string(chain)+string(key))
	ca, err := os.ReadFile(authority(k))
	if err != nil {
		k.Fatal(err)
	}
	write(k, k.path("ca.pem"), string(ca))
}

// shortDir makes a directory that everybody can reach, whose name leaves room
// for that of a UNIX socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "recipe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inPrint are the places of a machine that stand in recipes.
var inPrint = regexp.MustCompile(`/etc/(ssl|netserver)/|/run/|/var/lib/netserver/`)

var numbers = regexp.MustCompile(`\b\d{1,5}\b`)

// here is text with the ports and places of this kitchen.
func (k *kitchen) here(text string) string {
	text = numbers.ReplaceAllStringFunc(text, func(n string) string {
		if p := k.ports[n]; p != "" {
			return p
		}
		return n
	})
	return inPrint.ReplaceAllLiteralString(text, k.dir+"/")
}

// there is what here made, as it stands in print.
func (k *kitchen) there(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), k.dir+"/", "/etc/ssl/")
	return numbers.ReplaceAllStringFunc(text, func(n string) string {
		for printed, p := range k.ports {
			if p == n {
				return printed
			}
		}
		return n
	})
}

// serve starts the server with a command of the page.
func (k *kitchen) serve(command string) {
	k.Helper()
	if k.server != nil {
		k.server.stop()
	}
	words, ok := strings.CutPrefix(command, "netserver ")
	if !ok {
		k.Fatalf("no server: %s", command)
	}
	kind := "" // stands before all else
	if rest, ok := strings.CutPrefix(words, "HTTP "); ok {
		kind, words = "HTTP", rest
	}
	cmd := exec.Command("sh", "-c", "exec "+binary+" "+kind+" --host 127.0.0.1 --log_level 3 "+k.more+" "+k.here(words))
	cmd.Env, cmd.Dir = serverEnvironment(), k.dir
	k.server = startCmd(k, cmd)
	k.toml = strings.Contains(words, ".toml")
	k.server.awaitLog(`identity of the serving processes`)
}

// ask lets the clients of the page come, and compares what they print.
func (k *kitchen) ask(b block) {
	for _, s := range b.steps() {
		ctx, cancel := context.WithTimeout(k.Context(), patience)
		command := s.command
		if words, ok := strings.CutPrefix(command, "netserver "); ok {
			command = binary + " " + words
		}
		cmd := exec.CommandContext(ctx, "sh", "-c", k.here(command))
		cmd.Env, cmd.Dir = append(environment(), "HOME="+k.dir), k.dir
		out, err := cmd.CombinedOutput()
		cancel()
		if got := k.there(string(out)); got != s.output {
			k.Errorf("$ %s (%v)\n%s\nwant:\n%s", s.command, err, got, s.output)
		}
	}
}

// A section of docs/RECIPES.md.
type section struct {
	title  string
	blocks []block
	files  []string // of packaging/examples, whose text the next block is
}

// recipesPage reads docs/RECIPES.md.
func recipesPage(t *testing.T) (sections []section) {
	t.Helper()
	b, err := os.ReadFile("../../docs/RECIPES.md")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+string(b), "\n## ") {
		title, text, _ := strings.Cut(part, "\n")
		s := section{title: title, blocks: blocksOf(text)}
		for _, m := range regexp.MustCompile(`\]\(\.\./packaging/examples/([a-z0-9-]+\.toml)\)`).FindAllStringSubmatch(text, -1) {
			s.files = append(s.files, m[1])
		}
		if len(s.blocks) > 0 {
			sections = append(sections, s)
		}
	}
	return sections
}

// servers returns the server commands of a section; a conf file's is the one
// that reads it.
func (s section) servers() (commands []string) {
	for _, b := range s.blocks {
		if b.kind == "console server" {
			for _, st := range b.steps() {
				commands = append(commands, st.command)
			}
		}
	}
	for _, f := range s.files {
		commands = append(commands, "netserver --conf_file "+f)
	}
	return commands
}

// Every recipe works as it is printed, with the programs that it is for.
func TestRecipes(t *testing.T) {
	sections := recipesPage(t)
	if len(sections) != len(recipes) {
		t.Errorf("%d sections with commands, and %d tests of them", len(sections), len(recipes))
	}
	for _, r := range recipes {
		t.Run(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(r.section, "_"), func(t *testing.T) {
			i := slices.IndexFunc(sections, func(s section) bool { return s.title == r.section })
			if i < 0 {
				t.Fatalf("docs/RECIPES.md has no section %q", r.section)
			}
			r.run(t, sections[i])
		})
	}
}

func (r recipe) run(t *testing.T, s section) {
	for _, p := range r.programs {
		netservertest.Peer(t, p)
	}
	k := &kitchen{T: t, dir: shortDir(t), ports: map[string]string{}}
	r.setUp(k)
	for _, f := range s.files {
		text, err := os.ReadFile(filepath.Join(examplesDir, f))
		if err != nil {
			t.Fatal(err)
		}
		write(t, k.path(f), k.here(string(text)))
		if _, stderr, status := both(t, "--conf_file", k.path(f), "--check"); status != 0 {
			t.Errorf("%s --check: status %d: %s", f, status, stderr)
		}
	}
	asked := 0
	for _, command := range s.servers() {
		k.serve(command)
		for _, b := range s.blocks {
			if b.kind == "console" {
				asked += len(b.steps())
				k.ask(b)
			}
		}
		if r.after != nil {
			r.after(k)
		}
	}
	if asked == 0 {
		t.Fatal("nobody was served")
	}
	k.server.stop()
}

// The conf files that docs/RECIPES.md prints are those of packaging/examples,
// and each of these is a recipe.
func TestRecipesFiles(t *testing.T) {
	var printed []string
	for _, s := range recipesPage(t) {
		var files []string
		for _, b := range s.blocks {
			if b.kind == "toml" {
				files = append(files, strings.Join(b.lines, ""))
			}
		}
		if len(files) != len(s.files) {
			t.Errorf("%s: %d conf files in print, and links to %v", s.title, len(files), s.files)
			continue
		}
		for i, name := range s.files {
			printed = append(printed, name)
			if b, err := os.ReadFile(filepath.Join(examplesDir, name)); err != nil || string(b) != files[i] {
				t.Errorf("%s: what is printed is not packaging/examples/%s (%v):\n%s", s.title, name, err, b)
			}
		}
	}
	all, err := filepath.Glob(examplesDir + "/*.toml")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, f := range all {
		if !slices.Contains(printed, filepath.Base(f)) {
			t.Errorf("%s is in no recipe", f)
		}
	}
}

// Each section is in the list at the top of the page.
func TestRecipesIndex(t *testing.T) {
	b, err := os.ReadFile("../../docs/RECIPES.md")
	if err != nil {
		t.Fatal(err)
	}
	top, _, _ := strings.Cut(string(b), "\n## ")
	links := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(top, -1) {
		links[m[1]] = true
	}
	for _, s := range recipesPage(t) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(s.title), "")
		anchor = strings.ReplaceAll(anchor, " ", "-")
		if !links[anchor] {
			t.Errorf("no link leads to #%s", anchor)
		}
		delete(links, anchor)
	}
	for l := range links {
		t.Errorf("there is no section #%s", l)
	}
}

// The commands of the README's table of tools are those of the recipes.
func TestReadmeInsteadOf(t *testing.T) {
	text, _ := readme(t)
	_, table, ok := strings.Cut(text, "| instead of | run |\n|---|---|\n")
	if !ok {
		t.Fatal("no table of tools")
	}
	var known []string
	for _, s := range recipesPage(t) {
		known = append(known, s.servers()...)
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) < 2 {
			break
		}
		for _, m := range regexp.MustCompile("`(netserver [^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			rows++
			if !slices.Contains(known, m[1]) {
				t.Errorf("no recipe runs %q", m[1])
			}
		}
	}
	if rows < 6 {
		t.Errorf("%d commands in it", rows)
	}
}

// docs/CONFIGURATION.md shows what the command prints. A conf file there begins
// with a comment that is its name.
func TestConfigurationPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	k := &kitchen{T: t, dir: shortDir(t)}
	asked := 0
	for _, b := range blocksOf(string(text)) {
		switch b.kind {
		case "toml":
			name, ok := strings.CutPrefix(strings.TrimSpace(b.lines[0]), "# ")
			if !ok {
				t.Fatalf("a conf file without a name: %s", b.lines)
			}
			write(t, k.path(name), strings.Join(b.lines, ""))
		case "console":
			asked += len(b.steps())
			k.ask(b)
		}
	}
	if asked < 5 {
		t.Errorf("only %d commands", asked)
	}
}

// Conf files and commands in the other pages are made of keys that exist, in
// places where they have an effect. Their files are not here.
func TestPagesNameKeys(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(page) == "CONFIGURATION.md" { // it has a test of its own, and mistakes on purpose
			continue
		}
		for _, b := range blocksOf(string(text)) {
			checked += checkKeys(t, filepath.Base(page), b)
		}
	}
	if checked < 20 {
		t.Errorf("only %d conf files and commands", checked)
	}
}

var wrongKeys = regexp.MustCompile(`(?m)^.*(unknown key|has no effect|is no key of|cannot be set per port|TOML).*$`)

// checkKeys checks a conf file, or the server commands in a block, and returns
// how many that were.
func checkKeys(t *testing.T, page string, b block) (checked int) {
	t.Helper()
	text := strings.Join(b.lines, "")
	try := func(what string, args ...string) {
		t.Helper()
		checked++
		_, stderr, _ := both(t, args...)
		if m := wrongKeys.FindString(stderr); m != "" {
			t.Errorf("%s: %s\n%s", page, m, what)
		}
	}
	if b.kind == "toml" {
		file := filepath.Join(t.TempDir(), "server.toml")
		if !strings.Contains(text, "port =") { // a part of one
			text = "port = \"443/ssl\"\n" + text
		}
		write(t, file, text)
		try(text, "--conf_file", file, "--check")
		return checked
	}
	for _, line := range b.lines {
		words := strings.Fields(strings.TrimPrefix(line, "$ "))
		if len(words) < 2 || words[0] != "netserver" || !strings.HasPrefix(words[1], "--port") || strings.ContainsAny(line, "`'|\"") {
			continue
		}
		words = slices.DeleteFunc(words, func(w string) bool { return w == "..." })
		try(line, append([]string{"--check"}, words[1:]...)...)
	}
	return checked
}
