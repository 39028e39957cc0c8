package port_test

import (
	"fmt"
	"slices"
	"testing"

	"netserver/conf"
	"netserver/port"
)

// A host, protocol or family that serves no port is found: it would not be
// noticed that all addresses are served, or in plain text.
func TestFindUnused(t *testing.T) {
	type list = []string
	from := func(source conf.Source, texts list) (vals []conf.Value) {
		for _, text := range texts {
			vals = append(vals, conf.Value{Text: text, Origin: conf.Origin{Source: source}})
		}
		return vals
	}
	for _, c := range []struct{ ports, hosts, protos, ipvs, want list }{
		{nil, list{"127.0.0.1"}, list{"ssl"}, list{"4"}, nil},
		{nil, list{"127.0.0.1", "127.0.0.2"}, nil, nil, list{"host 127.0.0.2: "}},
		{list{"80"}, list{"127.0.0.1"}, list{"ssl"}, list{"6"}, nil},
		{list{"80", "81"}, list{"127.0.0.1"}, nil, nil, nil},
		{list{"80"}, list{"127.0.0.1", "127.0.0.2"}, nil, list{"4", "6"}, list{"host 127.0.0.2: ", "ipv 6: "}},
		{list{"0.0.0.0:80"}, list{"127.0.0.1"}, nil, nil, list{"host 127.0.0.1: 0.0.0.0:80"}},
		{list{"*:80"}, list{"127.0.0.1"}, nil, nil, list{"host 127.0.0.1: *:80"}},
		{list{"127.0.0.1:80"}, list{"127.0.0.1"}, nil, nil, nil},
		{list{"127.0.0.1:80"}, list{"*"}, list{"tcp"}, nil, nil},
		{list{"127.0.0.1:80", "81"}, list{"10.0.0.1"}, nil, nil, nil},
		{list{"80/tcp"}, nil, list{"ssl"}, nil, list{"proto ssl: 80/tcp"}},
		{list{"80/tls"}, nil, list{"ssl"}, nil, nil},
		{list{"80/udp", "81"}, nil, list{"ssl"}, nil, nil},
		{list{"80/udp", "81"}, nil, list{"ssl", "udp"}, nil, list{"proto ssl: 80/udp"}},
		{list{"/run/x|unix"}, list{"127.0.0.1"}, nil, nil, nil},
	} {
		in := port.Input{Ports: port.Texts(from(conf.SourceArgs, c.ports)),
			Hosts: from(conf.SourceArgs, c.hosts), Protos: from(conf.SourceArgs, c.protos), IPvs: from(conf.SourceArgs, c.ipvs)}
		var got list
		for _, u := range port.FindUnused(in) {
			got = append(got, fmt.Sprintf("%s %s: %s", u.Key, u.Value.Text, u.Port))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q %q %q %q: %q, want %q", c.ports, c.hosts, c.protos, c.ipvs, got, c.want)
		}
	}
	// What the command line names goes before a file without a word, and not
	// the other way round.
	for source, want := range map[conf.Source]int{conf.SourceFile: 0, conf.SourceArgs: 1} {
		in := port.Input{Ports: port.Texts(from(conf.SourceArgs+conf.SourceFile-source, list{"0.0.0.0:80"})), Hosts: from(source, list{"127.0.0.1"})}
		if got := port.FindUnused(in); len(got) != want {
			t.Errorf("source %v: %v", source, got)
		}
	}
	block := port.Entry{Map: conf.Values{"port": from(conf.SourceFile, list{"80", "81"}), "host": from(conf.SourceFile, list{"10.0.0.1"})}}
	in := port.Input{Ports: []port.Entry{block}, Hosts: from(conf.SourceFile, list{"127.0.0.1"})}
	if got := port.FindUnused(in); len(got) != 1 {
		t.Errorf("block: %v", got)
	}
}
