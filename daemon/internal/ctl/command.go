package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"netserver/access"
	"netserver/daemon/internal/logging"
	"netserver/internal/control"
	"netserver/internal/proc"
)

const usage = `Usage: netserver ctl [OPTION]... VERB [ARGUMENT]

Asks a running server, or tells it something, over its control_socket.

  status                    how it is: processes, ports, what became of clients
  health                    status 0 if it takes clients and a worker answers,
                            else 1: for a container's HEALTHCHECK
  conns [ID]                who is connected, since when, doing what; with an ID
                            all that is known of that one
  kill ID                   end one client, by its ID in conns
  limits                    each limit, its use, and the sources with most clients
  penalties                 what is in the penalty box
  penalties add NETWORK [SECONDS]
                            put one into it, for 600 seconds if not said
  penalties lift NETWORK    take an address or a network out of it
  targets [BACKEND]         the targets of each [[backend]], or of one
  targets add BACKEND TARGET, targets drain ..., targets remove ...
                            until the next reload or start: one more, or one back;
                            no more clients for it; or none and not in the list
  certs                     the certificates that are served, and when they end
  cluster                   the servers that share with this one, and their store
  top                       all that again and again, in a terminal; lines where
                            there is none
  metrics                   what the server has counted since its start
  explain PEER [SNI]        what each port would do with such a client now, by its
                            rules, limits, penalty box, certificates and routes;
                            PEER is an address, unix or unix:USER
  reload                    as HUP; status 1 and the errors if the new
                            configuration is not good
  reload --dry-run          what that would do; nothing is changed
  drain                     as QUIT; shows who is still here until all are gone
  drain --when-others-ready the same, but not before another server of the cluster
                            is ready and serves the same ports, and none drains
  stop                      as TERM; waits for the end

Options:
  --socket FILE             the server's control_socket; without it the key is
                            looked for as the server does:
  --control_socket FILE, --conf_file FILE, or the environment's
                            NETSERVER_CONTROL_SOCKET or NETSERVER_CONF_FILE
  --json                    the answer in JSON (docs/CONTROL.md has the names)
  --no-wait                 drain, stop: do not wait for the end
  --timeout SECONDS         drain --when-others-ready: for how long (default 300)
  --limit N                 conns: clients at most (default 1000);
                            limits: sources (default 20)
  --after ID                conns: those behind this one
  --interval SECONDS        top: how often (default 2)
  --count N                 top: how many times (default: until q is typed)
  --plain                   top: lines in a terminal too
  --port PORT               explain: of this port alone, as status lists it
  --alpn PROTOCOL,...       explain: the client offers these

Exit status: 0 done, 1 refused, failed or not running, 2 bad usage.
`

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // refused, or the server does not run
	exitUsage  = 2
)

// A command is one run of netserver ctl.
type command struct {
	stdout, stderr io.Writer
	json           bool
	environ        []string
	socket         string
	top            topOptions
	keys           []string // arguments that say where the socket is, as the server has them
	request        control.Request
}

// A Finder finds the control socket as the server does, with the arguments
// among those of ctl that are keys of the server; "" is that there is none.
type Finder func(keys []string) (path string, err error)

// A Caller is what the program of this command provides.
type Caller struct {
	Find    Finder
	Environ []string
	Top     Viewer // nil: it has none
}

// Run runs netserver ctl with the arguments behind that word, and returns its
// exit status. An interrupt ends it, and not what the server was told.
func Run(args []string, from Caller, stdout, stderr io.Writer) int {
	c := &command{stdout: stdout, stderr: stderr, environ: from.Environ}
	c.top.show = from.Top
	help, err := c.parse(args)
	if help {
		io.WriteString(stdout, usage)
		return exitDone
	}
	if err == nil && c.socket == "" {
		err = c.find(from.Find)
	}
	if err != nil {
		logging.PrintError(stderr, err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, proc.StopSignal)
	defer stop()
	if err := c.do(ctx); err != nil {
		return c.failed(ctx, err)
	}
	return exitDone
}

// parse reads the arguments.
func (c *command) parse(args []string) (help bool, err error) {
	var words []string
	wait := true
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		take := func() string {
			if !given && i+1 < len(args) {
				i++
				value, given = args[i], true
			}
			if (!given || value == "") && err == nil {
				err = fmt.Errorf("%s needs a value", name)
			}
			return value
		}
		switch name {
		case "--help", "-h", "help":
			return true, nil
		case "--json":
			c.json = true
		case "--dry-run":
			c.request.DryRun = true
		case "--when-others-ready":
			c.request.WhenOthersReady = true
		case "--no-wait":
			wait = false
		case "--socket":
			c.socket = take()
		case "--control_socket", "--conf_file":
			c.keys = append(c.keys, name+"="+take())
		case "--after":
			c.request.After = take()
		case "--port":
			c.request.Port = take()
		case "--alpn":
			c.request.ALPN = append(c.request.ALPN, strings.Split(take(), ",")...)
		case "--limit", "--timeout":
			if nerr := c.number(name, take()); nerr != nil && err == nil {
				err = nerr
			}
		case "--plain":
			c.top.plain, c.top.given = true, name
		case "--interval", "--count":
			if terr := c.top.set(name, take()); terr != nil && err == nil {
				err = terr
			}
		default:
			if strings.HasPrefix(name, "-") {
				return false, fmt.Errorf("unknown option %s (netserver ctl --help lists them)", args[i])
			}
			words = append(words, args[i])
		}
		if err != nil {
			return false, err
		}
	}
	if len(words) > 0 && words[0] == verbTop {
		return false, c.checkTop(words[1:], wait)
	}
	if c.top.given != "" {
		return false, fmt.Errorf("%s goes with top", c.top.given)
	}
	return false, c.verb(words, wait)
}

// verb makes the request of the words that are no options.
func (c *command) verb(words []string, wait bool) error {
	if len(words) == 0 {
		return errors.New("ctl needs a verb: status, reload, drain, stop, conns, kill, limits, penalties, targets, certs, metrics, explain, cluster, top or health (netserver ctl --help)")
	}
	r := &c.request
	verb, rest := words[0], words[1:]
	r.Verb = verb
	switch {
	case verb == control.VerbKill && len(rest) == 1:
		r.ID, rest = rest[0], nil
	case verb == control.VerbKill:
		return errors.New("kill needs one ID, as conns lists it: netserver ctl kill 1.17")
	case verb == control.VerbConns && len(rest) == 1:
		r.ID, rest = rest[0], nil
	case verb == control.VerbExplain:
		if len(rest) < 1 || len(rest) > 2 {
			return errors.New("explain needs the address of a client, and takes a name that it asks for: netserver ctl explain 192.0.2.7 www.example.org")
		}
		peer, err := access.ParsePeer(rest[0]) // which may look up a user
		if err != nil {
			return err
		}
		r.Peer, r.SNI, rest = control.PeerText(peer), strings.Join(rest[1:], ""), nil
	case verb == control.VerbPenalties && len(rest) == 2 && rest[0] == "lift":
		r.Verb, r.Network, rest = control.VerbLift, rest[1], nil
	case verb == control.VerbPenalties && (len(rest) == 2 || len(rest) == 3) && rest[0] == "add":
		if err := c.ban(rest[1:]); err != nil {
			return err
		}
		rest = nil
	case verb == control.VerbPenalties && len(rest) > 0:
		return errors.New("penalties takes nothing, lift NETWORK, or add NETWORK [SECONDS]: netserver ctl penalties lift 192.0.2.0/24")
	case verb == control.VerbTargets && len(rest) > 1:
		if len(rest) < 3 {
			return errors.New("targets takes nothing, a BACKEND, or a change: netserver ctl targets drain imap 10.0.0.5:143")
		}
		r.Verb, r.Change, r.Backend, r.Target, rest = control.VerbTarget, rest[0], rest[1], strings.Join(rest[2:], " "), nil
	case verb == control.VerbTargets && len(rest) == 1:
		r.Backend, rest = rest[0], nil
	case verb == control.VerbTarget:
		return errors.New("write targets add BACKEND TARGET, targets drain or targets remove")
	case verb == control.VerbLift:
		return errors.New("write penalties lift NETWORK")
	case verb == control.VerbBan:
		return errors.New("write penalties add NETWORK [SECONDS]")
	case verb == control.VerbDrain, verb == control.VerbStop:
		r.Wait = wait
	}
	if !wait && verb != control.VerbDrain && verb != control.VerbStop {
		return fmt.Errorf("--no-wait goes with drain and stop")
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s takes no %q", verb, rest[0])
	}
	b, err := json.Marshal(r)
	if err == nil {
		_, err = control.ParseRequest(b)
	}
	if err != nil {
		return fmt.Errorf("%w (netserver ctl --help)", err)
	}
	return nil
}

// ban makes the request of penalties add.
func (c *command) ban(words []string) error {
	c.request.Verb, c.request.Network = control.VerbBan, words[0]
	if len(words) < 2 {
		return nil
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of seconds", words[1])
	}
	c.request.Seconds = n
	return nil
}

// find finds the socket that no --socket names.
func (c *command) find(find Finder) (err error) {
	if c.socket, err = find(c.keys); err != nil {
		return fmt.Errorf("%w (--socket FILE names the socket without a conf file)", err)
	}
	if c.socket == "" {
		return errors.New("no control socket is known: give --socket FILE, or --conf_file FILE with the key control_socket")
	}
	return nil
}

// do carries the request out.
func (c *command) do(ctx context.Context) error {
	if c.request.Verb == control.VerbConns && c.request.ID == "" {
		return c.conns(ctx)
	}
	switch c.request.Verb {
	case verbTop:
		return c.watch(ctx)
	case control.VerbMetrics:
		return collect(ctx, c, &control.Metrics{Families: []control.Family{}, Silent: []control.Silent{}})
	case control.VerbExplain:
		return collect(ctx, c, &control.Explained{Ports: []control.ExplainedPort{}, Silent: []control.Silent{}})
	case control.VerbCerts:
		return collect(ctx, c, &control.Certs{Certificates: []control.Certificate{}, Silent: []control.Silent{}})
	}
	return control.Do(ctx, c.socket, &c.request, func(part string, data json.RawMessage) error {
		v := partNamed(part)
		if v == nil {
			return nil // of a newer server
		}
		if err := json.Unmarshal(data, v); err != nil {
			return fmt.Errorf("the answer %q cannot be read: %w", part, err)
		}
		if h, ok := v.(*control.Health); ok && !h.Ready {
			return errors.Join(c.show(v), errNotReady)
		}
		return c.show(v)
	})
}

// errNotReady is why health has status 1; the answer has been shown.
var errNotReady = errors.New("the server should get no clients")

// A shown is a part of an answer.
type shown interface{ Text(io.Writer) }

func partNamed(part string) shown {
	switch part {
	case "status":
		return new(control.Status)
	case "conns":
		return new(control.Conns)
	case "conn":
		return new(control.Connection)
	case "kill":
		return new(control.Killed)
	case "reload":
		return new(control.Reload)
	case "leaving":
		return new(control.Leaving)
	case "waiting":
		return new(control.Waiting)
	case "limits":
		return new(control.Limits)
	case "penalties":
		return new(control.Penalties)
	case "lift":
		return new(control.Lifted)
	case "cluster":
		return new(control.Cluster)
	case "health":
		return new(control.Health)
	case "ban":
		return new(control.Banned)
	case "targets":
		return new(control.Targets)
	case "target":
		return new(control.TargetChanged)
	}
	return nil
}

// show prints one part: for drain and stop there are several.
func (c *command) show(v shown) error {
	if !c.json {
		v.Text(c.stdout)
		return nil
	}
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	switch v.(type) {
	case *control.Leaving, *control.Waiting:
	default:
		e.SetIndent("", "  ")
	}
	return e.Encode(v)
}

// conns puts the pages of the list together.
func (c *command) conns(ctx context.Context) error {
	all := control.Conns{Clients: []control.Client{}, Silent: []control.Silent{}}
	err := control.Do(ctx, c.socket, &c.request, func(part string, data json.RawMessage) error {
		var page control.Conns
		if err := json.Unmarshal(data, &page); err != nil {
			return fmt.Errorf("the answer %q cannot be read: %w", part, err)
		}
		if len(all.Clients)+len(page.Clients) > control.MaxConns {
			return errors.New("the server lists more clients than it was asked for")
		}
		all.Clients = append(all.Clients, page.Clients...)
		all.Silent = append(all.Silent, page.Silent...)
		all.More, all.Next = page.More, page.Next
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(&all)
}

// collect puts the parts of an answer together and shows that.
func collect[T any, P interface {
	*T
	shown
	Add(T)
}](ctx context.Context, c *command, all P) error {
	err := control.Do(ctx, c.socket, &c.request, func(part string, data json.RawMessage) error {
		var one T
		if err := json.Unmarshal(data, &one); err != nil {
			return fmt.Errorf("the answer %q cannot be read: %w", part, err)
		}
		all.Add(one)
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(all)
}

// failed says why a request was not carried out.
func (c *command) failed(ctx context.Context, err error) int {
	if errors.Is(err, errNotReady) {
		return exitFailed
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted; the server still carries out the request")
	}
	texts := []string{err.Error()}
	var f *control.Failed
	if errors.As(err, &f) {
		texts = f.Texts
	}
	if c.json {
		json.NewEncoder(c.stdout).Encode(map[string][]string{"errors": texts})
	}
	for _, t := range texts {
		fmt.Fprintf(c.stderr, "netserver: %s\n", control.Clean(t))
	}
	return exitFailed
}
