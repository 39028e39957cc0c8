package tlsparams

// checkUnexpectedEOF returns why SSL_unexpected_eof is wrong, or "".
func checkUnexpectedEOF(text string) string {
	switch text {
	case "", "end", "reset":
		return ""
	}
	return "must be end or reset"
}

// checkEnd finds an SSL_unexpected_eof that code has set to what there is not.
func (s *Source) checkEnd() error {
	if reason := checkUnexpectedEOF(s.p.UnexpectedEOF); reason != "" {
		return s.p.fail(s.env.Where, "SSL_unexpected_eof", s.p.UnexpectedEOF, reason, nil)
	}
	return nil
}
