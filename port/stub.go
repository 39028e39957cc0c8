package port

// Label is a stand-in until the real one lands.
func (s Spec) Label() string { return s.Port + "/" + s.Proto }

func (s Spec) Kind() string { return s.Proto }
