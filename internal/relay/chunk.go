package relay

// read returns a buffer if there are bytes, and else an error. It may return
// both. Where the source lets it know, it takes a buffer only once there is
// something to read.
func (s *Source) read() (buf *[]byte, n int, err error) {
	switch {
	case s.rc != nil:
		if s.raw == nil {
			s.raw = newRawReader(s)
		}
		n, err = s.raw.Read(s.rc, s.conn)
	case s.wait != nil:
		if err = s.wait.WaitRead(); err == nil {
			n, err = s.r.Read(s.take())
		}
	default:
		n, err = s.r.Read(s.take())
	}
	if n == 0 {
		s.release()
	}
	buf, s.buf = s.buf, nil
	return buf, n, err
}

func (s *Source) take() []byte {
	if s.buf == nil {
		s.buf = copyBuffers.Get().(*[]byte)
	}
	return *s.buf
}

func (s *Source) release() {
	if s.buf != nil {
		copyBuffers.Put(s.buf)
		s.buf = nil
	}
}

// buffers are where a RawReader takes a buffer from, and gives it back.
type buffers interface {
	take() []byte
	release()
}

type bufferFuncs struct {
	takes    func() []byte
	releases func()
}

func (f *bufferFuncs) take() []byte { return f.takes() }
func (f *bufferFuncs) release()     { f.releases() }
