package convert

import (
	"strings"
)

// requires reports whether a client has to show a certificate: verifyChain and
// verifyPeer say so too, unless a later requireCert = no takes it back.
func (s service) requires() (must bool) {
	for _, o := range s.opts {
		switch {
		case o.name == "verify":
			must = o.value >= "2"
		case o.name == "requirecert", strings.HasPrefix(o.name, "verify") && strings.EqualFold(o.value, "yes"):
			must = strings.EqualFold(o.value, "yes")
		}
	}
	return must
}

// verifies reports what of a certificate is verified: its chain, or that it is
// one of those in CAfile.
func (s service) verifies() (chain, peer bool) {
	chain, peer = s.yes("verifychain"), s.yes("verifypeer")
	switch s.last("verify") {
	case "1", "2":
		chain = true
	case "3":
		chain, peer = true, true
	case "4":
		peer = true
	}
	return chain, peer
}

// stunnelVerify writes whose certificates are verified.
func (c *converter) stunnelVerify(l *section, s service, client bool) {
	where := "[" + s.name + "]"
	chain, peer := s.verifies()
	switch {
	case client && !chain && !peer:
		l.set("backend_verify", "0")
		c.note(where, "stunnel did not verify the target's certificate, which backend_verify = 0 keeps: anybody between may answer in its place; remove it and give backend_ca_file")
	case client:
	case s.requires() && (chain || peer):
		l.set("SSL_verify_mode", "3")
	case chain || peer:
		l.set("SSL_verify_mode", "1")
	}
	if peer {
		c.stunnelPeers(l, s, client)
	}
}

// stunnelPeers writes what verifyPeer says: CAfile holds the certificates that
// peers may show.
func (c *converter) stunnelPeers(l *section, s service, client bool) {
	where := "[" + s.name + "]"
	file := s.last("cafile")
	pins, err := c.pins(file)
	switch {
	case file == "":
		c.note(where, "verifyPeer is not taken over without a CAfile: chains are verified; give backend_pin or SSL_fingerprint")
		return
	case err != nil:
		c.note(where, "verifyPeer, which compares certificates with those of %s, is not taken over, because that could not be read: %v; their chains are verified; give backend_pin or SSL_fingerprint", file, err)
		return
	}
	var texts []string
	for _, p := range pins {
		if client {
			texts = append(texts, p.key)
		} else {
			texts = append(texts, "sha256$"+p.whole)
		}
	}
	if client {
		l.set("backend_pin", array(texts))
		return
	}
	l.set("SSL_fingerprint", array(texts))
	l.set("SSL_force_fingerprint", "1")
}

// stunnelOCSP writes whether responders are asked about clients.
func (c *converter) stunnelOCSP(l *section, s service, client bool) {
	responder := s.last("ocsp")
	switch {
	case responder == "" && !s.yes("ocspaia"):
	case client:
		c.note("["+s.name+"]", "OCSP is not taken over: responders are not asked about targets; give backend_crl_file or backend_pin")
	case l.values["SSL_verify_mode"] != "":
		check := "hard"
		if strings.EqualFold(s.last("ocsprequire"), "no") {
			check = "soft"
		}
		l.text("SSL_ocsp_check", check)
		if responder != "" {
			l.text("SSL_ocsp_responder", responder)
		}
	}
}

// asIs are options that only have another name here, behind SSL_ for ports and
// backend_ for targets.
var asIs = map[string]string{
	"cert": "cert_file", "key": "key_file", "cafile": "ca_file", "capath": "ca_path", "ciphers": "cipher_list",
}

// taken are options that other functions read, or that say what is so anyway.
const taken = " accept connect exec execargs client verify verifychain verifypeer requirecert failover renegotiation delay reset retry timeoutclose ocsp ocspaia ocsprequire ocspnonce "

// stunnelOption converts an option of a service that only has another name here.
func (c *converter) stunnelOption(l *section, s service, o option, prefix string, client bool) {
	if key := asIs[o.name]; key != "" {
		if chain, _ := s.verifies(); (o.name == "cafile" || o.name == "capath") && !chain && (l.values["SSL_fingerprint"] != "" || l.values["backend_pin"] != "") {
			return // its certificates have been written as pins, and nobody's chain was verified
		}
		verifies := client || l.values["SSL_verify_mode"] != ""
		if (o.name == "cafile" || o.name == "capath") && !verifies || l.values["backend_verify"] != "" && strings.HasPrefix(key, "ca_") {
			c.note("["+s.name+"]", "%s is not taken over: nobody's certificate is verified by it", o.shown)
			return
		}
		l.text(prefix+key, o.value)
		return
	}
	if strings.Contains(taken, " "+o.name+" ") {
		return
	}
	key, value := "", o.value
	switch o.name {
	case "crlfile":
		key = prefix + "crl_file"
		if !client {
			l.set("SSL_check_crl", "1")
		}
	case "curves", "curve":
		key = map[bool]string{true: "backend_curves", false: "SSL_ecdh_curve"}[client]
	case "sni":
		if !client {
			return // what makes it a route
		}
		key = "backend_servername"
	case "checkhost", "checkip", "checkemail":
		allow := map[string]string{"checkhost": "SSL_allow_dns", "checkip": "SSL_allow_ip", "checkemail": "SSL_allow_email"}[o.name]
		switch {
		case client && o.name != "checkemail" && l.values["backend_verify"] == "":
			key = "backend_verify_name"
		case !client && l.values["SSL_verify_mode"] != "":
			l.set(allow, array(s.all(o.name)))
			return
		}
	case "timeoutidle":
		key = "timeout_idle"
	case "timeoutconnect":
		key = "proxy_connect_timeout"
	case "timeoutbusy":
		key = "timeout_handshake"
	case "sslversion", "sslversionmin":
		if version, ok := tlsVersion(o); ok {
			key, value = prefix+"version", version
			if value == "" {
				return // it is the default
			}
		}
	case "options":
		if strings.HasPrefix(o.value, "NO_SSL") || o.value == "NO_TLSv1" || o.value == "NO_TLSv1.1" || strings.HasPrefix(o.value, "SINGLE_") {
			return // always so
		}
	case "protocol":
		key, value = protocol(o.value, client)
	case "pty":
		if s.yes("pty") {
			key, value = "exec_pty", "1"
		}
	}
	if key == "" {
		c.note("["+s.name+"]", "%s is not taken over", o.shown)
		return
	}
	l.text(key, value)
}

// tlsVersion is our form of the versions an option allows; "" is the default.
func tlsVersion(o option) (string, bool) {
	switch v := strings.ToLower(o.value); {
	case v == "tlsv1.3":
		return "TLSv1_3", true
	case v == "tlsv1.2" && o.name == "sslversion":
		return "TLSv1_2", true
	case v == "tlsv1.2", v == "all" && o.name == "sslversion":
		return "", true
	}
	return "", false
}

// protocol is the key for what stunnel speaks before TLS.
func protocol(name string, client bool) (key, value string) {
	name = strings.ToLower(name)
	if name == "proxy" && !client {
		return "backend_proxy_protocol", "v1"
	}
	if ours := starttlsNames[name]; ours != "" {
		if client {
			return "backend_starttls", ours
		}
		return "starttls", ours
	}
	return "", ""
}
