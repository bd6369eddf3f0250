//go:build !unix

package file

import "os"

func ours(info os.FileInfo) bool { return info.Mode().IsRegular() }

func lock(*os.File) bool { return true }
