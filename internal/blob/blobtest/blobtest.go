// Package blobtest gives tests a bucket without a network.
package blobtest

import (
	"net"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// Bucket starts a server of Google Cloud Storage's interface in this process, which package blob uses until the test
// ends, and gives the name of an empty bucket: gs://amber.
func Bucket(t testing.TB) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0") // the server must know its port before it starts
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	free.Close()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme: "http", Host: "127.0.0.1", Port: uint16(address.Port), PublicHost: address.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "amber"})
	t.Setenv("STORAGE_EMULATOR_HOST", server.URL())
	return "gs://amber"
}
