package child

import "syscall"

// endWithUs has the kernel end the process when this one dies.
func endWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
