package access_test

import (
	"fmt"
	"net/netip"

	"netserver/access"
)

// Networks alone decide by the address, before any byte is read.
func ExamplePolicy_Early() {
	rules := access.Rules{
		AllowNets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		DenyNets:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	}
	policy, err := rules.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ip := range []string{"10.1.2.3", "10.9.8.7", "192.0.2.1"} {
		v := policy.Early(access.Peer{IP: netip.MustParseAddr(ip)})
		fmt.Println(ip, v.Final, v.Allowed, v.Rule)
	}
	// Output:
	// 10.1.2.3 true true cidr_allow 10.0.0.0/8 (code)
	// 10.9.8.7 true false cidr_deny 10.9.0.0/16 (code)
	// 192.0.2.1 true false no rule allows
}

// A rule for names leaves the verdict open until the name is known.
func ExamplePolicy_Decide() {
	rules := access.Rules{
		Allow:          access.Texts(`.*\.example\.com`),
		ReverseLookups: access.Texts("1"),
	}
	policy, err := rules.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	peer := access.Peer{IP: netip.MustParseAddr("192.0.2.1")}
	fmt.Println(policy.Early(peer).Final)
	fmt.Println(policy.Decide(peer, access.Names{Host: "mail.example.com"}).Allowed)
	fmt.Println(policy.Decide(peer, access.Names{}).Err())
	// Output:
	// false
	// true
	// denied: no rule allows
}

// Compile reports all errors at once, each with its origin.
func ExampleRules_Compile() {
	rules := access.Rules{
		Allow:    access.Texts(`(?!10\.).*`),
		CIDRDeny: access.Texts("10.0.0.0/33"),
	}
	_, err := rules.Compile()
	fmt.Println(err)
	// Output:
	// allow "(?!10\\.).*" (code): (?! is a negative lookahead, which Go's regular expressions do not have: write what must not match as a deny rule and what may match as an allow rule
	// 33, as in '10.0.0.0/33', does not make sense: cidr_deny "10.0.0.0/33" (code): write 0 to 32 behind the slash
}
