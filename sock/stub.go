package sock

// Options is a stand-in until the real one lands.
type Options struct{}
