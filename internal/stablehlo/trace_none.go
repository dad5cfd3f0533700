//go:build !cgo

package stablehlo

import (
	"github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// trace says why this binary cannot: go-xla, whose builder writes the text, is reached through C.
func (p *Program) trace(_ Options, _ bool, _ func([]*graph.Node) []*graph.Node) error {
	return fault.New(fault.Device, "%s: this binary was built without cgo, which go-xla needs to write a program; install a C compiler and build with CGO_ENABLED=1", p.Name)
}
