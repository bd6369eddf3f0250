package kit

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// watchReader ends the run when nobody reads stdout any more although nothing is written: a watch in front of head(1) would wait for its next event otherwise.
func (k *Kit) watchReader(out io.Writer) {
	f, ok := out.(*os.File)
	if !ok {
		return
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return
	}
	fd := int32(f.Fd())
	go func() {
		for {
			// No event is asked for: POLLERR and POLLHUP are told all the same.
			fds := []unix.PollFd{{Fd: fd}}
			n, err := unix.Poll(fds, -1)
			switch {
			case errors.Is(err, unix.EINTR):
			case err != nil || n == 0:
				return
			case fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				k.piped.Store(true)
				if k.cancel != nil {
					k.cancel(errPipe)
				}
				return
			default:
				return
			}
		}
	}()
}
