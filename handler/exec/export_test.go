package exec

// SetVar returns the environment that has nothing but name, if it is let in.
func SetVar(name, value string) []string {
	var v vars
	v.set(name, value)
	return v
}

var CipherName = cipherName

// LogLines cuts what a program writes, in pieces as it came, into the lines
// that are logged, without a limit on their number.
func LogLines(log func(string), pieces ...[]byte) {
	l := &lineLog{emit: log, allow: func() bool { return true }}
	for _, p := range pieces {
		l.write(p)
	}
	l.flush()
}
