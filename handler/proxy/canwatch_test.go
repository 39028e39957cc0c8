package proxy_test

import "runtime"

const canWatch = runtime.GOOS == "linux"
