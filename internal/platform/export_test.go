package platform

// ReleaseVersion lets the tests that link go-xla compare the pinned release with go-xla's.
var ReleaseVersion = releasePin.version
