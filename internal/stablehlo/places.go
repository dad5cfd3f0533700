//go:build cgo

package stablehlo

import (
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	gostablehlo "github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/gomlx/core/graph"
)

// Where in the model an operation comes from is read off the stack on which GoMLX built its node: the names of this
// repository's functions below the one that is traced, from the outermost to the innermost, such as
// gradients/Forward/generate/encode/layers/encode/attention/attend/softmax. GoMLX builds gradients elsewhere: an
// operation of the gradient gets the place of the node that it is the gradient of, after Backward.

// placesOf maps the values of a program to their places. Of a node that is several statements only the last one's
// values are known; what is before it gets its place by locate.
func placesOf(g *graph.Graph) (map[*gostablehlo.Value]string, error) {
	nodes := g.Nodes()
	gradients := gradientsOf(g)
	named := make([]string, len(nodes))
	places := map[*gostablehlo.Value]string{}
	for i, node := range nodes {
		named[i] = placeOf(node)
		if of := gradients.of(i); of >= 0 {
			named[i] = Backward + "/" + named[of]
		}
		outputs, err := private[[]compute.Value](node, "outputOps")
		if err != nil {
			return nil, err
		}
		for _, v := range *outputs {
			n, ok := v.(*xla.Node)
			if !ok {
				return nil, changed("graph.Node.outputOps", v)
			}
			value, err := private[*gostablehlo.Value](n, "value")
			if err != nil {
				return nil, err
			}
			if places[*value] == "" {
				places[*value] = named[i]
			}
		}
	}
	return places, nil
}

// placeOf reads a node's place off its stack.
func placeOf(node *graph.Node) string {
	var names []string
	frames := runtime.CallersFrames(callers(node))
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "stablehlo.(*Program).trace") {
			names = names[:max(0, len(names)-1)] // the function that is traced
			break
		}
		if own, found := strings.CutPrefix(frame.Function, "elektron/"); found {
			names = append(names, functionName(own))
		}
		if !more {
			break
		}
	}
	slices.Reverse(names)
	return strings.Join(slices.Compact(names), "/")
}

// callers are the program counters of the stack on which a node was built. GoMLX keeps it in an error whose method
// StackTrace returns a list of numbers of a type of their own.
func callers(node *graph.Node) []uintptr {
	method := reflect.ValueOf(node.Trace()).MethodByName("StackTrace")
	if !method.IsValid() {
		return nil
	}
	stack := method.Call(nil)[0]
	counters := make([]uintptr, stack.Len())
	for i := range counters {
		counters[i] = uintptr(stack.Index(i).Uint())
	}
	return counters
}

// functionName is the name of a function without package, receiver and the marks of closures: of
// model.(*Context).layers.func1 it is layers.
func functionName(name string) string {
	parts := strings.Split(name[strings.LastIndex(name, "/")+1:], ".")
	for len(parts) > 2 && (strings.HasPrefix(parts[len(parts)-1], "func") || strings.Trim(parts[len(parts)-1], "0123456789") == "") {
		parts = parts[:len(parts)-1]
	}
	return strings.TrimSuffix(parts[len(parts)-1], "-fm")
}
