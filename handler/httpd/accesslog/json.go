package accesslog

import (
	"strconv"

	"netserver/handler/httpd"
	"netserver/logs"
)

// jsonTexts are the keys whose values are texts, by their directives.
var jsonTexts = [...]struct {
	key  string
	item item
}{
	{"peer", item{letter: 'a'}}, {"name", item{letter: 'h'}}, {"scheme", item{letter: 'H'}}, {"method", item{letter: 'm'}},
	{"vhost", item{letter: 'v'}}, {"referer", item{letter: 'i', arg: "Referer"}}, {"user_agent", item{letter: 'i', arg: "User-Agent"}},
}

// maxText bounds a value in JSON, in bytes as it came.
const maxText = 2 << 10

// appendJSON adds the object of an entry.
func appendJSON(b []byte, e *entry) []byte {
	b = append(b, `{"event":"request","time":"`...)
	b = e.begin.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	c := e.c
	if e.r != nil {
		c = httpd.Conn(e.r.Context())
	}
	if c != nil {
		b = strconv.AppendUint(append(b, `,"client":`...), c.ID(), 10)
	}
	for i := range jsonTexts {
		t := &jsonTexts[i]
		v := e.value(&t.item)
		if v == "" || t.key == "name" && v == e.value(&item{letter: 'a'}) {
			continue
		}
		b = appendKey(b, t.key, v)
	}
	if e.r != nil {
		b = appendKey(b, "uri", e.r.RequestURI)
		b = appendKey(b, "proto", e.r.Proto)
	}
	b = strconv.AppendInt(append(b, `,"status":`...), int64(e.status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), e.size, 10)
	b = append(b, `,"duration_ms":`...)
	b = strconv.AppendFloat(b, float64(e.took.Microseconds())/1000, 'f', -1, 64)
	return append(b, '}')
}

func appendKey(b []byte, key, value string) []byte {
	if len(value) > maxText {
		value = value[:maxText] + cutMark
	}
	b = append(b, ',', '"')
	b = append(b, key...)
	return logs.AppendJSON(append(b, '"', ':'), value)
}
