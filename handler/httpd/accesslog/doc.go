// Package accesslog writes a line for each request, in the form of
// Net::Server::HTTP's access_log_format, which is that of Apache's mod_log_config
// for the most part.
//
//	f, err := accesslog.Parse(accesslog.Combined)
//	l := &accesslog.Log{Format: f, Write: func(line []byte) { os.Stdout.Write(line) }}
//	h := &httpd.Handler{Handler: l.Handler(mux)}
//
// What clients send is escaped: a line has printable ASCII only, and a quotation
// mark or a backslash of theirs is \x22 or \x5C, so that nobody can end a field
// or a line but the format.
//
//	%%        a percent sign
//	%a %A     the client's address, the server's
//	%b %B     bytes of the body; of none, - and 0
//	%{N}C     a cookie: what follows N= where a Cookie header begins with it
//	%D %T     time taken, in microseconds and in whole seconds
//	%{N}e     a variable of the environment (package cgi)
//	%h        the client's name if it was looked up, or its address
//	%H        http or https
//	%{N}i %{N}o  a header of the request, of the answer; several joined by ", "
//	%I %O     bytes of request and answer with their heads, as HTTP/1.1 has them
//	%l %u %f  always -
//	%m %U %q  method, path, ? and the query
//	%{N}n     a note of the handler (cgi.State)
//	%p        the server's port
//	%P %{tid}P  the process
//	%r        the request line
//	%s        the status
//	%t %{F}t  when it began, in brackets: local time, or as strftime has F
//	%v %V     the Host header, or the host of the port
//	%X        X if no answer was sent, else -
//
// Between % and the letter may stand < or >, which change nothing, and then
// statuses, after which - is written for any other (%404,500U), or for these
// (%!200U). What is empty is -, and what is no directive stays.
//
// Of this module it imports handler/httpd and handler/httpd/cgi. Start reading
// at Parse (format.go) and Log.Handler (log.go).
package accesslog
