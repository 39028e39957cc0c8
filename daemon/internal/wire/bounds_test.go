package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"netserver/internal/control"
	"netserver/port"
	"netserver/sock"
)

// said has a worker with two ports say one message, in JSON.
func said(text string) (Message, error) {
	return (&Peer{Sender: FromWorker, Ports: 2, Targets: []TargetName{{"imap", "10.0.0.1:143"}}}).Read([]byte(text))
}

func answer(inside string) string { return `{"Op":"answer","ID":1,"Answer":{` + inside + `}}` }

func metrics(samples string) string { return `{"Op":"metrics","Metrics":[` + samples + `]}` }

// times repeats a JSON value as the elements of a list.
func times(n int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

// What a worker may say goes up to a bound and not beyond.
func TestBoundsOfWhatAWorkerSays(t *testing.T) {
	counts := func(first int, ports string) string {
		return fmt.Sprintf(`{"Op":"counts","Counts":{"First":%d,"Ports":%s}}`, first, ports)
	}
	counters := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"c%d":1`, i))
		}
		return `[{"Outcomes":{` + strings.Join(list, ",") + `}}]`
	}
	const great = 1 << 31
	for _, c := range []struct{ text, want string }{
		{`{"Op":"status","Status":{"Clients":0,"Serving":0,"Total":0}}`, ""},
		{fmt.Sprintf(`{"Op":"status","Status":{"Clients":%d,"Serving":%d,"Total":%d}}`, great, great, MaxTally), ""},
		{fmt.Sprintf(`{"Op":"status","Status":{"Clients":%d}}`, great+1), "clients"},
		{fmt.Sprintf(`{"Op":"status","Status":{"Serving":%d}}`, great+1), "clients in the handler"},
		{fmt.Sprintf(`{"Op":"status","Status":{"Total":%d}}`, MaxTally+1), "clients in all"},
		{`{"Op":"status","Status":{"Clients":-1}}`, "clients"},
		{`{"Op":"status","Status":{"Serving":-1}}`, "clients in the handler"},
		{`{"Op":"status","Status":{"Total":-1}}`, "not a message"},
		{`{"Op":"status"}`, "it is empty"},

		{counts(0, `[{},{}]`), ""},
		{counts(2, `[]`), ""},
		{counts(1, `[{}]`), ""},
		{counts(1, `[{},{}]`), "2 ports from number 1 on"},
		{counts(-1, `[{}]`), "ports from number"},
		{counts(3, `[]`), "ports from number"},
		{counts(0, counters(MaxCounted)), ""},
		{counts(0, counters(MaxCounted+1)), "counters of one port"},
		{counts(0, `[{"Outcomes":{"served":1}},{"Refused":{"max_clients":2}}]`), ""},
		{counts(0, fmt.Sprintf(`[{"Refused":{"x":%d}}]`, MaxTally)), ""},
		{counts(0, fmt.Sprintf(`[{"Refused":{"x":%d}}]`, MaxTally+1)), `counter "x"`},
		{counts(0, `[{"Outcomes":{"":1}}]`), `a counter named ""`},
		{counts(0, `[{"Outcomes":{"`+strings.Repeat("x", maxCountName)+`":1}}]`), ""},
		{counts(0, `[{"Outcomes":{"`+strings.Repeat("x", maxCountName+1)+`":1}}]`), "a counter named"},
		{counts(0, `[{"Outcomes":{"a\u001b[2J":1}}]`), "invalid name"},
		{`{"Op":"counts","Status":{"Clients":-1}}`, "clients"},
		{`{"Op":"counts","Status":{"Clients":1}}`, ""},

		{answer(""), ""},
		{`{"Op":"answer","ID":1}`, "it is empty"},
		{answer(fmt.Sprintf(`"Count":%d,"Lifted":%d`, great, great)), ""},
		{answer(fmt.Sprintf(`"Count":%d`, great+1)), "clients"},
		{answer(`"Count":-1`), "clients"},
		{answer(fmt.Sprintf(`"Lifted":%d`, great+1)), "networks taken out"},
		{answer(fmt.Sprintf(`"Handshakes":{"unfinished":%d,"waiting":1,"running":1,"sources":1,"shed":%d}`, great, MaxTally)), ""},
		{answer(fmt.Sprintf(`"Handshakes":{"shed":%d}`, MaxTally+1)), "handshakes shed"},
		{answer(`"Handshakes":{"running":-1}`), "handshakes"},
		{answer(`"Clients":` + times(MaxPage, `{"id":"1"}`)), ""},
		{answer(`"Clients":` + times(MaxPage+1, `{"id":"1"}`)), "257 clients"},
		{answer(`"Clients":[{"id":"18446744073709551615"}]`), ""},
		{answer(`"Clients":[{"id":"18446744073709551616"}]`), "clients: an invalid number"},
		{answer(`"Clients":[{"id":"01"}]`), "clients: an invalid number"},
		{answer(`"Clients":[{"id":"1.2"}]`), "clients: an invalid number"},
		{answer(`"Clients":[{"id":""}]`), "clients: an invalid number"},
		{answer(`"Clients":[{"id":"1","idle_seconds":0}]`), ""},
		{answer(`"Clients":[{"id":"1","idle_seconds":-0.5}]`), "idle for"},
		{answer(`"Clients":[{"id":"1","idle_seconds":1e300}]`), "idle for"},
		{answer(`"Page":"` + packed(MaxPage) + `"`), ""},
		{answer(`"Page":"` + packed(MaxPage+1) + `"`), "cannot be read"},
		{answer(`"Page":"` + packed(1) + `","Clients":[{"id":"1"}]`), "clients twice"},
		{answer(`"Page":"AQ=="`), "cannot be read"},
		{answer(`"Page":"AX8="`), "cannot be read"},
		{answer(`"Page":"////////////////AQ=="`), "cannot be read"},
		{answer(`"Conn":{"id":"1"}`), ""},
		{answer(`"Conn":{"id":"01"}`), "client: an invalid number"},
		{answer(`"Conn":{"id":"1","network":"everybody"}`), "client: an invalid network"},
		{answer(`"Conn":{"id":"1","child_pid":-1}`), "process -1"},
		{answer(`"Conn":{"id":"1","stage_seconds":1e300}`), "in its stage"},
		{answer(`"Conn":{"id":"1","times":` + times(maxParts, `{"part":"turn","after_seconds":1}`) + `}`), ""},
		{answer(`"Conn":{"id":"1","times":` + times(maxParts+1, `{}`) + `}`), "17 parts of a way"},
		{answer(`"Conn":{"id":"1","times":[{"after_seconds":-1}]}`), "part after"},
		{answer(`"Conn":{"id":"1","deadlines":` + times(maxParts+1, `{}`) + `}`), "17 deadlines"},
		{answer(`"Conn":{"id":"1","deadlines":[{"left_seconds":-1e300}]}`), "left"},
		{answer(`"Conn":{"id":"1","limits":` + times(maxParts+1, `{}`) + `}`), "17 limits"},
		{answer(`"Conn":{"id":"1","limits":[{"use":1e300}]}`), "limits of a client"},
		{answer(`"Conn":{"id":"1","notes":` + times(maxNotes, `{"name":"a","value":"b"}`) + `}`), ""},
		{answer(`"Conn":{"id":"1","notes":` + times(maxNotes+1, `{}`) + `}`), "65 notes"},

		{answer(`"Limits":` + times(MaxLimitRows, `{"value":0,"use":1e18}`)), ""},
		{answer(`"Limits":` + times(MaxLimitRows+1, `{}`)), "121 limits"},
		{answer(`"Limits":[{"value":-1}]`), "limits: value"},
		{answer(`"Limits":[{"use":-1}]`), "limits: use"},
		{answer(fmt.Sprintf(`"Limits":[{"refused":%d}]`, MaxTally+1)), "refused"},
		{answer(`"Sources":` + times(MaxTop, `{"network":"10.0.0.0/24","clients":1}`)), ""},
		{answer(`"Sources":` + times(MaxTop+1, `{"network":"10.0.0.1","clients":1}`)), "301 sources"},
		{answer(`"Sources":[{"network":"everybody","clients":1}]`), "sources: an invalid network"},
		{answer(`"Sources":[{"network":"10.0.0.1","clients":-1}]`), "sources: -1 clients"},
		{answer(`"Boxed":[{"network":"::1","offences":1,"left":0}]`), ""},
		{answer(`"Boxed":[{"network":"::1","offences":-1}]`), "offences"},
		{answer(`"Boxed":` + times(MaxBoxed+1, `{"network":"::1"}`)), "301 penalties"},
		{answer(`"Targets":` + times(MaxPage, `{"state":"up","clients":1}`)), ""},
		{answer(`"Targets":` + times(MaxPage+1, `{}`)), "257 targets"},
		{answer(`"Targets":[{"clients":-1}]`), "targets: -1 clients"},
		{answer(`"Targets":[{"since_seconds":-1}]`), "since"},
		{answer(`"Targets":[{"connect_seconds":1e300}]`), "connect"},
		{answer(fmt.Sprintf(`"Targets":[{"failed":%d}]`, MaxTally+1)), "too many clients"},

		{answer(`"Certs":` + times(MaxPage, `{"Places":[0,1]}`)), ""},
		{answer(`"Certs":` + times(MaxPage+1, `{}`)), "257 certificates"},
		{answer(`"Certs":[{"Places":[2]}]`), "certificates: port 2 of 2"},
		{answer(`"Certs":[{"Places":[-1]}]`), "certificates: port -1 of 2"},
		{answer(`"Certs":[{"Places":[0,1,0]}]`), "3 ports"},
		{answer(`"Certs":[{"names":` + times(maxCertNames+1, `"a"`) + `}]`), "101 names"},

		{metrics(`{"Family":"netserver_goroutines","Value":5}`), ""},
		{metrics(`{"Family":"netserver_connections","Port":2,"Labels":["handler"],"Value":5}`), ""},
		{metrics(`{"Family":"netserver_would_refuse_total","Port":1,"Labels":["max_per_source"],"Value":5}`), ""},
		{metrics(`{"Family":"netserver_target_up","Labels":["imap","10.0.0.1:143"],"Value":1}`), ""},
		{metrics(`{"Family":"netserver_target_up","Labels":["imap","other"],"Value":1}`), ""},
		{metrics(`{"Family":"netserver_handler_seconds","Port":1,"Hist":{"Sum":1,"Zero":1,"Index":[-159,176],"N":[1,2]}}`), ""},
		{metrics(``), "0 samples"},
		{metrics(strings.TrimSuffix(strings.Repeat(`{"Family":"netserver_goroutines"},`, maxSamples+1), ",")), "513 samples"},
		{metrics(`{"Family":"netserver_mine_total","Value":5}`), "a family"},
		{metrics(`{"Family":"netserver_build_info","Labels":["1","2"],"Value":5}`), "a family"},
		{metrics(`{"Family":"netserver_reloads_total","Labels":["done"],"Value":5}`), "a family"},
		{metrics(`{"Family":"netserver_connections","Port":3,"Labels":["handler"]}`), "of port 3 of 2"},
		{metrics(`{"Family":"netserver_connections","Labels":["handler"]}`), "of port 0 of 2"},
		{metrics(`{"Family":"netserver_goroutines","Port":1}`), "of a port"},
		{metrics(`{"Family":"netserver_connections","Port":1}`), "with 0 labels"},
		{metrics(`{"Family":"netserver_connections","Port":1,"Labels":["mine"]}`), `with the stage "mine"`},
		{metrics(`{"Family":"netserver_would_refuse_total","Port":1,"Labels":["max_mine"]}`), `with the limit "max_mine"`},
		{metrics(`{"Family":"netserver_target_up","Labels":["mine","10.0.0.1:143"]}`), `with the backend "mine"`},
		{metrics(`{"Family":"netserver_target_up","Labels":["imap","10.0.0.2:143"]}`), `with the target "10.0.0.2:143"`},
		{metrics(`{"Family":"netserver_goroutines","Value":-1}`), "is -1"},
		{metrics(`{"Family":"netserver_goroutines","Value":1e300}`), "is 1e+300"},
		{metrics(`{"Family":"netserver_goroutines","Hist":{}}`), "is no gauge"},
		{metrics(`{"Family":"netserver_handler_seconds","Port":1,"Value":1}`), "is no histogram"},
		{metrics(`{"Family":"netserver_handler_seconds","Port":1,"Hist":{"Index":[177],"N":[1]}}`), "bucket 177"},
		{metrics(`{"Family":"netserver_handler_seconds","Port":1,"Hist":{"Index":[1,1],"N":[1,1]}}`), "bucket 1 behind 1"},
		{metrics(`{"Family":"netserver_handler_seconds","Port":1,"Hist":{"Sum":-1}}`), "a sum"},

		{`{"Op":"read","Path":"` + strings.Repeat("/a", maxPathBytes/2) + `"}`, ""},
		{`{"Op":"read","Path":"` + strings.Repeat("/a", maxPathBytes/2) + `/"}`, "a path of 4097 bytes"},
		{`{"Op":"read","Path":"/etc\u0000"}`, "NUL"},
		{`{"Op":"load","Path":"/a","Key":"/b\u0000"}`, "NUL"},
		{`{"Op":"load","Path":"/a","Have":"` + strings.Repeat("A", 44) + `"}`, "a digest of 33 bytes"},
		{`{"Op":"load","Path":"/a","Have":"AAAA"}`, ""},
		{`{"Op":"exit"}`, "may not shut it down"},
		{`{"Op":"plan","Plan":{}}`, `it sent "plan", which a worker may not`},
		{`{"Op":"echo"}`, ""},
		{`{"Op":"something new"}`, ErrSkip.Error()},
		{`{"Op":"leave"}`, ErrSkip.Error()},
	} {
		m, err := said(c.text)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.200s: %v, want %q", c.text, err, c.want)
		case err != nil && !reflect.DeepEqual(m, Message{}):
			t.Errorf("%.200s: refused, and something is left of it: %+v", c.text, m)
		}
	}
}

// JSON that two readers could take for two things is no message.
func TestShapesThatAreRefused(t *testing.T) {
	deep := func(n int) string {
		return `{"Op":"status","X":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	nested := func(n int) string {
		return `{"Op":"echo","X":` + strings.Repeat(`{"X":`, n) + "1" + strings.Repeat("}", n) + "}"
	}
	field := func(n int) string { return `{"Op":"echo","` + strings.Repeat("x", n) + `":1}` }
	for _, c := range []struct{ text, want string }{
		{`{"Op":"echo"}`, ""},
		{` {"Op":"echo"} `, ""},
		{`{"Op":"echo","Op":"exit"}`, "duplicate field op"},
		{`{"Op":"echo","op":"exit"}`, "duplicate field op"},
		{`{"Op":"echo","X":{"a":1,"A":2}}`, "duplicate field a"},
		{`{"Op":"echo","X":[{"a":1},{"a":2}]}`, ""},
		{`{"Op":"echo"}{"Op":"exit"}`, "trailing data"},
		{`{"Op":"echo"} x`, "trailing data"},
		{`["echo"]`, "not a message"},
		{`"echo"`, "not a message"},
		{``, "not a message"},
		{`{`, "not a message"},
		{`{"Op":"echo"`, "not a message"},
		{`{"Op":"echo",}`, "not a message"},
		{`{"Op":"echo","X":[1,}`, "not a message"},
		{`{"Op":1}`, "not a message"},
		{`{"Op":"echo","ID":"x"}`, "not a message"},
		{`{"Op":"echo","ID":-1}`, "not a message"},
		{field(maxField), ""},
		{field(maxField + 1), "invalid name"},
		{`{"Op":"echo","a\u0000":1}`, "invalid name"},
		{`{"Op":"echo","ü":1}`, "invalid name"},
		{deep(maxDepth - 1), "it is empty"}, // the shape is good
		{deep(maxDepth), "nested"},
		{nested(maxDepth - 1), ""},
		{nested(maxDepth), "nested"},
		{`{"Op":"echo","X":` + times(maxMembers, "1") + `}`, ""},
		{`{"Op":"echo","X":` + times(maxMembers+1, "1") + `}`, "a list of more than"},
	} {
		if _, err := said(c.text); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.120s: %v, want %q", c.text, err, c.want)
		}
	}
}

// Each message comes from whom it is for, and carries what its rule takes.
func TestWhoMaySayWhat(t *testing.T) {
	for op, from := range map[string]string{OpReady: "w", OpFailed: "wjc", OpRead: "w", OpLoad: "w", OpStatus: "w", OpCounts: "w",
		OpAnswer: "w", OpExit: "w", OpEcho: "w", OpDismissed: "w", OpPlan: "c", OpInit: "", OpIdentity: "", OpTickets: "", OpAsk: ""} {
		for s, letter := range map[Sender]string{FromWorker: "w", FromJob: "j", FromCheck: "c"} {
			if got := s.May(op); got != strings.Contains(from, letter) {
				t.Errorf("%s from a %s: %v", op, s, got)
			}
		}
	}
	all := `"Path":"/p","Key":"/k","Fresh":true,"Dir":true,"Data":"AA==","Paths":["/x"],"Failed":"x","Lines":["one\ntwo"],"Fence":"a\u001bb",` +
		`"Status":{"Clients":1},"Plan":{},"Contents":{"a":"AA=="},"Identity":{},"Leave":{},"Tickets":{}`
	for op, want := range map[string]Message{
		OpReady:     {Sandbox: "a%1Bb", Lines: []string{"one%0Atwo"}},
		OpFailed:    {Lines: []string{"one%0Atwo"}},
		OpRead:      {Path: "/p", Dir: true, Fresh: true},
		OpLoad:      {Path: "/p", Key: "/k", Fresh: true},
		OpStatus:    {Status: &Status{Clients: 1}},
		OpCounts:    {Status: &Status{Clients: 1}},
		OpEcho:      {},
		OpDismissed: {},
	} {
		want.Op, want.ID = op, 7
		m, err := said(`{"Op":"` + op + `","ID":7,` + all + `}`)
		if err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%s: %+v, %v; want %+v", op, m, err, want)
		}
	}
	if m, err := (&Peer{Sender: FromCheck}).Read([]byte(`{"Op":"plan",` + all + `}`)); err != nil || m.Plan == nil || len(m.Contents) != 1 || m.Path != "" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := (&Peer{Sender: FromCheck}).Read([]byte(`{"Op":"plan"}`)); err == nil {
		t.Error("a check without a plan")
	}
	if _, err := (&Peer{Sender: FromWorker, Exit: true}).Read([]byte(`{"Op":"exit"}`)); err != nil {
		t.Error(err)
	}
	many := make([]string, maxLines+5)
	b, _ := json.Marshal(Message{Op: OpFailed, Lines: append(many, strings.Repeat("x", MaxLineBytes+9))})
	if m, err := said(string(b)); err != nil || len(m.Lines) != maxLines {
		t.Errorf("%d lines, %v", len(m.Lines), err)
	}
	b, _ = json.Marshal(Message{Op: OpFailed, Lines: []string{strings.Repeat("x", MaxLineBytes+9)}})
	if m, err := said(string(b)); err != nil || len(m.Lines[0]) != MaxLineBytes {
		t.Errorf("%v", err)
	}
}

// What a worker says of its clients is cleaned: text, networks and times.
func TestAnswersAreCleaned(t *testing.T) {
	m, err := said(answer(`"Failed":"a\nb","Clients":[{"id":"5","peer":"\u001b[2J","since":"9999-01-01T00:00:00Z","connected_seconds":-3}],` +
		`"Limits":[{"key":"a\tb","most":5}],"Sources":[{"network":"2001:DB8::1/128","clients":1}],"Boxed":[{"network":"10.0.0.7/24","processes":9}]`))
	if err != nil {
		t.Fatal(err)
	}
	a := m.Answer
	if a.Failed != "a%0Ab" || a.Clients[0].Peer != "%1B[2J" || a.Clients[0].Since.Year() > 9000 || a.Clients[0].Connected != 0 {
		t.Errorf("%+v", a)
	}
	if a.Limits[0].Key != "a%09b" || a.Limits[0].Most != nil || a.Sources[0].Network != "2001:db8::1" || a.Boxed[0].Network != "10.0.0.0/24" || a.Boxed[0].Processes != 1 {
		t.Errorf("%+v", a)
	}
}

// An answer has what was asked for, and nothing else.
func TestAnswersFitTheirQuestions(t *testing.T) {
	parts := map[string]Answer{
		AskStats:   {Handshakes: control.Handshakes{Running: 1}},
		AskClients: {Clients: make([]control.Client, 1)},
		AskKill:    {Found: true},
		AskLimits:  {Limits: make([]control.Limit, 1)},
		AskBoxed:   {Boxed: make([]control.Boxed, 1)},
		AskLift:    {Lifted: 1},
		AskTargets: {Targets: make([]control.Target, 1)},
		AskTarget:  {Changed: true},
		AskExplain: {Explained: make([]Explained, 1)},
	}
	for asked := range parts {
		if err := (&Answer{Count: 3}).Fits(Ask{What: asked}); err != nil {
			t.Errorf("nothing, asked for %s: %v", asked, err)
		}
		for has, a := range parts {
			if err := a.Fits(Ask{What: asked, N: 10}); (err == nil) != (has == asked) {
				t.Errorf("%s, asked for %s: %v", has, asked, err)
			}
		}
	}
	top := Answer{Sources: make([]control.Source, 1)}
	if top.Fits(Ask{What: AskLimits}) != nil || top.Fits(Ask{What: AskStats}) == nil {
		t.Error("the sources belong to the limits")
	}
	for n, asked := range map[int]int{1: 0, 2: 2, MaxPage: MaxPage + 5} {
		full := Answer{Clients: make([]control.Client, n)}
		if err := full.Fits(Ask{What: AskClients, N: asked}); err != nil {
			t.Error(err)
		}
		full.Clients = append(full.Clients, control.Client{})
		if err := full.Fits(Ask{What: AskClients, N: asked}); err == nil {
			t.Errorf("%d clients, asked for %d", n+1, asked)
		}
	}
}

// Counters add up by name. A worker's inventions fill the room that there is,
// and never that of the real ones.
func TestCountersAddUp(t *testing.T) {
	sum := map[string]uint64{}
	for i := range MaxCounted + 10 {
		AddCounts(sum, map[string]uint64{fmt.Sprint("invented ", i): 1})
	}
	if len(sum) != MaxCounted {
		t.Errorf("%d invented counters", len(sum))
	}
	AddCounts(sum, map[string]uint64{"invented 3": 4, "served": 2, "max_per_prefix": 1, "max_per_source": 1})
	AddCounts(sum, map[string]uint64{"served": 3})
	if sum["invented 3"] != 5 || sum["served"] != 5 || sum["max_per_prefix"] != 1 || sum["max_per_source"] != 1 || len(sum) != MaxCounted+3 {
		t.Errorf("%d: %v", len(sum), sum)
	}
}

func TestTallies(t *testing.T) {
	pl := &Plan{Ports: make([]sock.Request, 2)}
	for i := range pl.Ports {
		pl.Ports[i].Spec = port.Spec{Port: fmt.Sprint(i + 1), Proto: "tcp"}
	}
	names := pl.PortNames()
	tally := make(Tallies)
	for range 2 {
		tally.Add(pl, []PortCount{{Outcomes: map[string]uint64{"served": 2}}, {Refused: map[string]uint64{"penalty": 1}}})
	}
	tally.At("old").Outcomes["served"] = 7
	list := tally.Listeners([]string{names[1], names[0], names[1]})
	if len(list) != 3 || list[0].Port != names[1] || !list[0].Open || list[0].Refused["penalty"] != 2 || list[1].Outcomes["served"] != 4 {
		t.Errorf("%+v", list)
	}
	if list[2].Port != "old" || list[2].Open || list[2].Outcomes["served"] != 7 {
		t.Errorf("%+v", list[2])
	}
	list[1].Outcomes["served"] = 100
	if tally.At(names[0]).Outcomes["served"] != 4 {
		t.Error("who reads the list can change the counters")
	}
	for i := range maxPast {
		tally.At(fmt.Sprint("past ", i))
	}
	pl.Ports[0].Spec.Port = "99"
	tally.Add(pl, []PortCount{{Outcomes: map[string]uint64{"served": 1}}})
	if c := tally["other ports"]; c == nil || c.Outcomes["served"] != 1 {
		t.Errorf("of a port too many: %+v", c)
	}
}
