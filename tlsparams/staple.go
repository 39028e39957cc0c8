package tlsparams

func (s *Source) loadStapleFile() error { return nil }
