// Package testdata finds the reference data that lies beside a developer's checkout. A user's machine
// does not have it: tests that ask for it are skipped there, with the reason.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Data is the folder of corpora, vocabularies and GLUE files: $ELEKTRON_DATA, or shared/data beside the repository.
func Data(t testing.TB) string { return find(t, "ELEKTRON_DATA", "data") }

// Parity is the folder of goldens: $ELEKTRON_PARITY, or shared/parity beside the repository.
func Parity(t testing.TB) string { return find(t, "ELEKTRON_PARITY", "parity") }

func find(t testing.TB, variable, name string) string {
	t.Helper()
	folder := os.Getenv(variable)
	if folder == "" {
		_, file, _, _ := runtime.Caller(0)
		folder = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared", name)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("reference data is not here (%v); set %s to a folder of that shape to run this test", err, variable)
	}
	return folder
}
