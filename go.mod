module netserver

go 1.26.0
