//go:build !unix

package file

import "os"

func lock(*os.File) bool { return true }
