package convert

import (
	"slices"
	"strings"
)

// hitchTLS converts a setting that a file and a frontend may have, and reports
// whether it is one.
func (c *converter) hitchTLS(t *section, where string, s setting) bool {
	if s.block != nil {
		return false
	}
	switch s.name {
	case "ciphers":
		t.text("SSL_cipher_list", s.value)
	case "ciphersuites":
		for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
			if !slices.Contains(strings.Split(s.value, ":"), suite) {
				c.note(where+s.name, "it is not taken over: all three suites of TLS 1.3 are always there")
				break
			}
		}
	case "ecdh-curve":
		if s.value != "auto" {
			t.text("SSL_ecdh_curve", s.value)
		}
	case "prefer-server-ciphers":
		// says in which order suites of TLS 1.2 are looked at, all of which are good
	case "client-verify":
		mode := verifyModes[s.value]
		if mode == "" {
			c.note(where+s.name, "%s is not taken over", s.value)
			mode = "3" // none is let in by a mistake
		}
		if mode != "0" || where != "" {
			t.set("SSL_verify_mode", mode)
		}
	case "client-verify-ca":
		t.text("SSL_ca_file", s.value)
	case "sni-nomatch-abort":
		if isOn(s.value) {
			t.text("SSL_unknown_sni", "refuse")
		} else if where != "" {
			t.text("SSL_unknown_sni", "default")
		}
	case "tls-protos":
		c.hitchVersion(t, where, strings.FieldsFunc(s.value, func(r rune) bool { return r == ' ' || r == ',' }))
	case "tls", "ssl":
		if s.name == "ssl" && isOn(s.value) {
			c.note(where+s.name, "versions before TLS 1.2 are not taken over")
		}
	default:
		return false
	}
	return true
}

// hitchVersion writes which versions of TLS there are, if they are not the
// default.
func (c *converter) hitchVersion(t *section, where string, versions []string) {
	two, three := slices.Contains(versions, "TLSv1.2"), slices.Contains(versions, "TLSv1.3")
	for _, v := range versions {
		if v != "TLSv1.2" && v != "TLSv1.3" {
			c.note(where+"tls-protos", "%s is not taken over: versions before TLS 1.2 are broken", v)
		}
	}
	switch {
	case two == three:
	case two:
		t.text("SSL_version", "TLSv1_2")
	default:
		t.text("SSL_version", "TLSv1_3")
	}
}

// hitchTexts are settings of the whole program that only have another name here.
var hitchTexts = map[string]string{
	"user": "user", "group": "group", "chroot": "chroot", "log-filename": "log_file", "pidfile": "pid_file",
	"backend-connect-timeout": "proxy_connect_timeout", "ssl-handshake-timeout": "timeout_handshake",
	"keepalive": "tcp_keepalive",
}

// hitchSame are settings that say what is so anyway, or that nothing here needs:
// one process uses all processors, responses are always verified, names are
// looked up again by themselves.
var hitchSame = []string{
	"workers", "quiet", "ssl-engine", "ocsp-connect-tmo", "ocsp-resp-tmo", "ocsp-refresh-interval", "ocsp-verify-staple", "backend-refresh", "log-level",
	"backlog",                                           // read with each frontend
	"proxy-tlv", "proxy-authority", "proxy-client-cert", // read with write-proxy
}

// hitchOption converts a setting of the whole program; all are the others.
func (c *converter) hitchOption(s setting, all []setting) {
	t := &c.top
	on := isOn(s.value)
	switch {
	case s.block != nil:
		c.note(s.name, "it is not taken over")
	case hitchTexts[s.name] != "":
		if s.value != "" {
			t.text(hitchTexts[s.name], s.value)
		}
	case s.name == "backend":
		target := strings.NewReplacer("[", "", "]", "").Replace(s.value)
		if at, ok := endpoint(target, "localhost"); ok {
			t.text("proxy_to", at)
			return
		}
		c.note(s.name, "%s is no target", s.value)
	case s.name == "daemon" && on:
		t.set("background", "1")
	case s.name == "syslog" && on:
		t.text("log_file", "Sys::Syslog")
		if facility := last(all, "syslog-facility"); facility != "" {
			t.text("syslog_facility", facility)
		}
	case s.name == "syslog-facility":
	case s.name == "write-proxy-v1" && on:
		t.text("backend_proxy_protocol", "v1")
	case (s.name == "write-proxy-v2" || s.name == "write-proxy") && on:
		c.hitchProxy(all)
	case s.name == "proxy-proxy" && on:
		c.hitchProxy(all)
		t.text("backend_proxy_received", "pass")
		t.text("proxy_protocol", "require")
		c.note(s.name, "proxy_protocol_from = NETWORKS, whose headers are believed, is to be added")
	case s.name == "alpn-protos":
		t.set("SSL_alpn_protocols", array(strings.FieldsFunc(s.value, func(r rune) bool { return r == ',' || r == ' ' })))
	case s.name == "ocsp-dir" && s.value != "":
		t.set("SSL_ocsp_staple", "1")
	case slices.Contains(hitchSame, s.name), strings.EqualFold(s.value, "off"), s.value == "":
	default:
		c.note(s.name, "it is not taken over")
	}
}

// hitchProxy writes what a header of version 2 tells.
func (c *converter) hitchProxy(all []setting) {
	c.top.text("backend_proxy_protocol", "v2")
	tlvs := []string{"alpn"}
	if last(all, "proxy-authority") != "off" {
		tlvs = append(tlvs, "authority")
	}
	if last(all, "proxy-tlv") != "off" {
		tlvs = append(tlvs, "ssl")
	}
	if isOn(last(all, "proxy-client-cert")) {
		c.note("proxy-client-cert", "backend_proxy_tlvs has cert, which sends the certificate in DER as HAProxy does, not in PEM under a number of hitch's own")
		tlvs = append(tlvs, "cert")
	}
	c.top.set("backend_proxy_tlvs", array(tlvs))
}
