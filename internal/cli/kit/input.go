package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDocument bounds what is read as one document, in bytes.
const maxDocument = 64 << 20

// ReadDocument reads the whole of the FILE, or of stdin when arg is "-". A FILE may be a pipe; it is read once. No bytes at all is an error, as is a second "-".
func (k *Kit) ReadDocument(arg string) ([]byte, error) {
	in, name, err := k.OpenInput(arg)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
		got <- result{data, err}
	}()
	select {
	case r := <-got:
		return checkDocument(name, r.data, r.err)
	case <-k.done:
		return nil, Fail(ExitInterrupt, "reading "+name, context.Canceled, "")
	}
}

func checkDocument(name string, data []byte, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, Fail(ExitUsage, "reading "+name, err, "it must be a file, or - for stdin")
	case len(data) > maxDocument:
		return nil, Fail(ExitUsage, "reading "+name, fmt.Sprintf("more than %d MiB", maxDocument>>20), "no document that large is taken")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, Fail(ExitUsage, "reading "+name, "it is empty, a document is wanted", "did the command before it fail? set -o pipefail tells")
	}
	return data, nil
}

// OpenInput opens the FILE, or stdin when arg is "-", and returns the name for messages. Stdin can be opened once.
func (k *Kit) OpenInput(arg string) (in io.ReadCloser, name string, err error) {
	if arg != "-" {
		f, err := os.Open(k.Path(arg))
		if err != nil {
			return nil, arg, Fail(ExitUsage, "reading "+arg, plainCause(err), "give a file that can be read, or - for stdin")
		}
		return f, arg, nil
	}
	first := false
	k.stdin.Do(func() { first = true })
	if !first {
		return nil, "stdin", Fail(ExitUsage, "reading stdin", "it was read already, - can stand only once", "give a FILE for the other document")
	}
	if k.InTTY {
		k.Note("reading from the terminal, Ctrl-D ends it")
	}
	return io.NopCloser(k.In), "stdin", nil
}

// plainCause is what a file operation failed with, without the operation and the name that the message has already.
func plainCause(err error) error {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
