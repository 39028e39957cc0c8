package certfile

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Block is one block of a PEM file.
type Block struct {
	Type     string // such as "CERTIFICATE"
	Bytes    []byte // decoded; still encrypted if DEK is set
	Line     int    // of its BEGIN line, from 1
	ProcType string // the header of that name; "" for none
	DEK      string // the header DEK-Info: how a traditional private key is encrypted; "" for none
}

// std returns the block in the form of package encoding/pem.
func (b *Block) std() *pem.Block {
	p := &pem.Block{Type: b.Type, Bytes: b.Bytes, Headers: make(map[string]string)}
	if b.DEK != "" {
		p.Headers["Proc-Type"], p.Headers["DEK-Info"] = b.ProcType, b.DEK
	}
	return p
}

// Bounds on what a file may hold.
const (
	maxBlocks   = 1 << 16
	maxTypeName = 64
)

// kinds are the blocks allowed in a server's files. A block of another kind is
// most often a misspelt CERTIFICATE, and skipping it would skip a certificate.
var kinds = []string{
	"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CRL",
	"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "ANY PRIVATE KEY", "OPENSSH PRIVATE KEY",
	"PUBLIC KEY", "RSA PUBLIC KEY", "DSA PUBLIC KEY", "ECDSA PUBLIC KEY",
	"EC PARAMETERS", "DH PARAMETERS", "X9.42 DH PARAMETERS", "DSA PARAMETERS", "PARAMETERS",
	"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST",
	"PKCS7", "PKCS #7 SIGNED DATA", "CMS", "ATTRIBUTE CERTIFICATE", "SSL SESSION PARAMETERS",
}

// marker matches a line that begins or ends a block, or was meant to.
var marker = regexp.MustCompile(`(?i)-{2,}[ \t]*(BEGIN|END)\b|\b(BEGIN|END)[ \t]+[A-Z0-9 .#]*-{3,}`)

// Blocks returns all blocks of a PEM text: package encoding/pem skips what it
// cannot read, and a skipped certificate or revocation list is a security
// hole. Text before, between and after the blocks is allowed, as OpenSSL
// allows it, unless it looks like a part of a block. Data that is not PEM has
// no blocks. The error follows the file's name.
func Blocks(data []byte) ([]Block, error) {
	if isDER(data) {
		return nil, nil
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("is UTF-16 text; save it as ASCII or UTF-8")
	}
	if !bytes.Contains(data, []byte("BEGIN")) && !bytes.Contains(data, []byte("END ")) || !marker.Match(data) {
		return nil, nil
	}
	r := &reader{data: bytes.TrimPrefix(data, bom)}
	for {
		b, err := r.block()
		if err != nil {
			return nil, err
		}
		if b == nil {
			return r.out, nil
		}
		if len(r.out) == maxBlocks {
			return nil, fmt.Errorf("holds more than %d PEM blocks", maxBlocks)
		}
		r.out = append(r.out, *b)
	}
}

var bom = []byte("\xef\xbb\xbf")

// isDER reports whether data is exactly one DER sequence.
func isDER(data []byte) bool {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(data, &v)
	return err == nil && len(rest) == 0 && v.Tag == asn1.TagSequence && v.IsCompound && v.Class == asn1.ClassUniversal
}

type reader struct {
	data []byte
	line int // of the last one returned by next
	out  []Block
}

// next returns the next line without its newline and trailing blanks.
func (r *reader) next() (line []byte, ok bool) {
	if len(r.data) == 0 {
		return nil, false
	}
	r.line++
	line, r.data, _ = bytes.Cut(r.data, []byte("\n"))
	return bytes.TrimRight(line, " \t\r"), true
}

func (r *reader) damaged(format string, args ...any) error {
	return fmt.Errorf("is damaged in line %d: %s", r.line, fmt.Sprintf(format, args...))
}

// block returns the next block, nil at the end of the file.
func (r *reader) block() (*Block, error) {
	for {
		line, ok := r.next()
		if !ok {
			return nil, nil
		}
		if bytes.HasPrefix(line, []byte("-----BEGIN ")) {
			typ, ok := label(line, "-----BEGIN ")
			if !ok {
				return nil, r.damaged("%s", malformed(line))
			}
			if !slices.Contains(kinds, typ) {
				return nil, r.damaged("it begins a block of an unknown kind, %q", typ)
			}
			return r.body(typ)
		}
		if end := misspeltParameters(line); end != "" {
			if err := r.skipTo(end); err != nil {
				return nil, err
			}
			continue
		}
		if err := r.text(line); err != nil {
			return nil, err
		}
	}
}

// misspeltParameters reports whether a line would begin a block of DH or EC
// parameters but for its dashes, by what ends that block, "" if not. OpenSSL
// takes such a block for text, so files with one are served by stunnel and
// hitch (one of hitch's own is); nobody uses what it says.
func misspeltParameters(line []byte) (end string) {
	s := strings.Trim(string(line[:min(len(line), maxTypeName)]), "-")
	if kind, ok := strings.CutPrefix(s, "BEGIN "); ok && (kind == "DH PARAMETERS" || kind == "EC PARAMETERS") {
		return "END " + kind
	}
	return ""
}

// skipTo goes on behind the line that says end. Without one, or with another
// block before it, the file is damaged.
func (r *reader) skipTo(end string) error {
	for {
		line, ok := r.next()
		switch {
		case !ok:
			return fmt.Errorf("is cut short: a block of parameters has no %s line", end)
		case strings.Trim(string(line[:min(len(line), maxTypeName)]), "-") == end:
			return nil
		case marker.Match(line) || !isParameters(line):
			return r.damaged("it is not in a block of parameters, whose %s line is missing", end)
		}
	}
}

// isParameters reports whether a line is base64.
func isParameters(line []byte) bool {
	return len(line) > 0 && len(line) <= 76 && len(bytes.Trim(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")) == 0
}

// label returns the kind of block in a BEGIN or END line.
func label(line []byte, prefix string) (string, bool) {
	s, ok := strings.CutPrefix(string(line[:min(len(line), maxTypeName+2*len(prefix))]), prefix)
	if !ok {
		return "", false
	}
	s, ok = strings.CutSuffix(s, "-----")
	if !ok || s == "" || len(s) > maxTypeName || strings.ContainsAny(s, "-") || strings.TrimSpace(s) != s {
		return "", false
	}
	return s, true
}

// text checks a line outside of blocks: explanations are allowed there, parts
// of blocks are not.
func (r *reader) text(line []byte) error {
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return r.damaged("it holds NUL bytes")
	case len(line) > 0 && len(r.data) == 0 && strings.HasPrefix("-----BEGIN ", string(line)):
		return fmt.Errorf("is cut short: line %d is the start of a BEGIN line", r.line)
	case !marker.Match(line):
		if isBody(line) {
			return r.damaged("there is base64 outside of a block; the BEGIN line before it is missing or misspelt")
		}
		return nil
	}
	if _, ok := label(line, "-----END "); ok {
		return r.damaged("there is an END line without the BEGIN line that belongs to it")
	}
	return r.damaged("%s", malformed(line))
}

// malformed says what is wrong with a line that contains a marker.
func malformed(line []byte) string {
	trimmed := bytes.TrimLeft(line, " \t")
	switch {
	case bytes.IndexByte(line, '\r') >= 0:
		return "its lines end with a carriage return alone; save it with line feeds"
	case bytes.HasPrefix(trimmed, bom):
		return "there is a byte order mark before BEGIN; take it out"
	case len(trimmed) < len(line) && bytes.HasPrefix(trimmed, []byte("-----")):
		return "BEGIN and END lines must not be indented"
	case bytes.Contains(line, []byte("-----END ")) && bytes.Contains(line, []byte("-----BEGIN ")):
		return "the end of one block and the beginning of the next are on one line; put a line break between them"
	}
	return "it looks like a BEGIN or END line but is not one" // the line may hold a part of a key
}

// isBody reports whether a line of text is base64 of a block rather than a
// word, a ruler or a hex digest.
func isBody(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 60 {
		return false
	}
	var upper, lower, digit bool
	for i, c := range line {
		switch {
		case 'G' <= c && c <= 'Z':
			upper = true
		case 'g' <= c && c <= 'z':
			lower = true
		case '0' <= c && c <= '9', c == '+', c == '/':
			digit = true
		case 'A' <= c && c <= 'F', 'a' <= c && c <= 'f', c == '=' && i >= len(line)-2:
		default:
			return false
		}
	}
	return upper && lower && digit
}

// body reads a block from its BEGIN line on.
func (r *reader) body(typ string) (*Block, error) {
	b := &Block{Type: typ, Line: r.line}
	var text []byte
	for first := true; ; first = false {
		line, ok := r.next()
		switch {
		case !ok, len(r.data) == 0 && len(line) > 0 && len(line) < len(typ)+len("-----END -----") && strings.HasPrefix("-----END "+typ+"-----", string(line)):
			return nil, fmt.Errorf("is cut short: the block %s that begins in line %d has no END line", typ, b.Line)
		case bytes.HasPrefix(line, []byte("-----END ")):
			if end, ok := label(line, "-----END "); ok && end == typ {
				return b, r.decode(b, text)
			} else if ok {
				return nil, r.damaged("it ends %s, but the block that begins in line %d is %s", end, b.Line, typ)
			}
			return nil, r.damaged("%s", malformed(line))
		case bytes.HasPrefix(line, []byte("-----BEGIN ")):
			return nil, r.damaged("a block begins before the END line of the block %s of line %d", typ, b.Line)
		case first && bytes.IndexByte(line, ':') >= 0:
			if err := r.headers(b, line); err != nil {
				return nil, err
			}
			continue
		case first && len(line) == 0:
			continue // as OpenSSL: headers, and there are none
		case len(line) == 0:
			return nil, r.damaged("there is an empty line in the block %s of line %d", typ, b.Line)
		}
		for _, c := range line {
			switch {
			case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/', c == '=':
				text = append(text, c)
			case c == ' ', c == '\t':
			default:
				return nil, r.damaged("it is not base64 (in the block %s of line %d)", typ, b.Line)
			}
		}
	}
}

func (r *reader) decode(b *Block, text []byte) error {
	n, err := base64.StdEncoding.Decode(text, text)
	switch {
	case err != nil:
		return fmt.Errorf("is damaged: the block %s of line %d is not base64, or a part of it is missing", b.Type, b.Line)
	case n == 0:
		return fmt.Errorf("is damaged: the block %s of line %d is empty", b.Type, b.Line)
	}
	b.Bytes = text[:n]
	return nil
}

// headers reads the headers of a traditional encrypted key, up to the empty
// line after them. No others mean anything in a server's files.
func (r *reader) headers(b *Block, line []byte) error {
	for ; len(line) > 0; line, _ = r.next() {
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case !strings.HasSuffix(b.Type, "PRIVATE KEY"):
			return r.damaged("a block %s has no headers", b.Type)
		case name == "Proc-Type" && b.ProcType == "" && value == "4,ENCRYPTED":
			b.ProcType = value
		case name == "DEK-Info" && b.DEK == "" && b.ProcType != "" && value != "":
			b.DEK = value
		default:
			return r.damaged("there is an unknown or misplaced header") // it may be a part of a key
		}
	}
	if b.ProcType != "" && b.DEK == "" {
		return r.damaged("the block %s of line %d says that it is encrypted, but not how", b.Type, b.Line)
	}
	return nil
}
