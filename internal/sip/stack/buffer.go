package stack

import "sync"

// buffers lend memory for one message. Large ones are left to the garbage collector: they are rare.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

const largestKept = 16 << 10

func borrow() *[]byte { return buffers.Get().(*[]byte) }

func giveBack(b *[]byte) {
	if cap(*b) > largestKept {
		return
	}
	*b = (*b)[:0]
	buffers.Put(b)
}
