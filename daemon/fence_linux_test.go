package daemon

// Fence puts what an echo's workers are under in force for this process.
func Fence(read ...string) (string, error) { return restrictFiles(fence{read: read}) }
