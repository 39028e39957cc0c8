package proc

// Usage is what a process has in use; nil is unknown.
type Usage struct {
	Memory      *int64 // resident, in bytes
	Descriptors *int
}
