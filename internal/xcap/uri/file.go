package uri

import (
	"errors"
	"strings"
)

// maxFileName is the longest a name in a file path is: file systems take 255 bytes, and something may be put before or behind it.
const maxFileName = 200

// more ends a name that goes on in the next one, because it is too long. No name ends so by itself.
const more = "%"

// FilePath returns a path, with slashes, of a file that stands for a document, for example by its AUID, tree, XUI and names. It is
// safe on every file system: all but small letters, digits and a few signs is percent-encoded, also capital letters, because some
// file systems know no difference; so is what would make a name one of dots, of a hidden file or of a device. A name that is too
// long is split. Other names have another path.
func FilePath(names ...string) string {
	const digits = "0123456789abcdef"
	var b []byte
	for i, name := range names {
		if i > 0 {
			b = append(b, '/')
		}
		device, start := isDevice(name), len(b)
		for j := range len(name) {
			if len(b)-start > maxFileName-len("%00") {
				b = append(b, more+"/"...)
				start = len(b)
			}
			c := name[j]
			first, last := len(b) == start, j == len(name)-1
			hidden := first && (j > 0 || device) || c == '.' && (first || last)
			if plainInFile[c] && !hidden {
				b = append(b, c)
			} else {
				b = append(b, '%', digits[c>>4], digits[c&15])
			}
		}
	}
	return string(b)
}

// plainInFile tells the bytes that stand for themselves in the name of a file.
var plainInFile = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789-_.@+=,!()") {
		t[c] = true
	}
	return t
}()

// isDevice reports whether a name is one that some systems have for a device, whatever its extension is.
func isDevice(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	port := strings.HasPrefix(name, "com") || strings.HasPrefix(name, "lpt")
	return port && len(name) == 4 && name[3] >= '0' && name[3] <= '9'
}

// ParseFilePath returns the names that FilePath makes a path of. It takes other characters too, so that files may be named by hand.
func ParseFilePath(path string) (names []string, err error) {
	name := ""
	for part := range strings.SplitSeq(path, "/") {
		part, goesOn := strings.CutSuffix(part, more)
		if part == "" {
			return nil, errors.New("a name in it is empty")
		}
		if name += part; goesOn {
			continue
		}
		decoded, err := decode(Document, name)
		if err != nil {
			return nil, err
		}
		names, name = append(names, decoded), ""
	}
	if name != "" {
		return nil, errors.New("its last name goes on")
	}
	return names, nil
}
