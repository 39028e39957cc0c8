package tlsparams

// Params is a stand-in until the real one lands.
type Params struct{}
