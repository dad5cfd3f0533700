//go:build linux || darwin

package platform

import "syscall"

// freeSpace is how many bytes a user may still write to the file system of a folder.
func freeSpace(folder string) (free int64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0, false
	}
	return int64(stat.Bavail) * int64(stat.Bsize), true
}
