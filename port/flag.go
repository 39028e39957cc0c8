package port

// Flag returns a function for flag.Func, for a flag that names a port each time
// it is given. Each text is parsed as Parse does it, without Defaults, and what
// it names is appended to list. What list has before is the default: the first
// text takes its place.
func Flag(list *[]Spec) func(text string) error {
	given := false
	return func(text string) error {
		specs, err := Parse(text, Defaults{})
		if err != nil {
			return err
		}
		if !given {
			*list, given = nil, true
		}
		*list = append(*list, specs...)
		return nil
	}
}
