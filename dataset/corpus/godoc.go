package corpus

import "elektron/internal/fault"

// GoDoc is the corpus of the comments of a Go installation.
func GoDoc(goroot string) (*Corpus, error) { return nil, fault.New(fault.Internal, "todo") }
