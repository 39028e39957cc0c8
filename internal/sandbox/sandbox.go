package sandbox

// A Sandbox says which files a process may reach, and what it starts.
type Sandbox struct {
	Read     []string // files and directories
	Write    []string // directories
	All      bool     // read and execute everything
	Abstract bool     // connect to abstract UNIX sockets of others
}
