package pjrt_test

import (
	"fmt"
	"strings"
	"testing"

	"elektron/internal/pjrt"
)

// manyProgram is a step of so many small arrays of state, each aliased with its output, and a loss.
func manyProgram(count int) string {
	var arguments, results, values, types, body strings.Builder
	for i := range count {
		fmt.Fprintf(&arguments, "%%a%d: tensor<64xf32> {tf.aliasing_output = %d : i32}, ", i, i)
		fmt.Fprintf(&body, "    %%r%d = stablehlo.add %%a%d, %%batch : tensor<64xf32>\n", i, i)
		results.WriteString("tensor<64xf32>, ")
		fmt.Fprintf(&values, "%%r%d, ", i)
		types.WriteString("tensor<64xf32>, ")
	}
	return fmt.Sprintf("module @many {\n  func.func @main(%s%%batch: tensor<64xf32>) -> (%stensor<64xf32>) {\n%s    return %s%%batch : %stensor<64xf32>\n  }\n}",
		arguments.String(), results.String(), body.String(), values.String(), types.String())
}

// BenchmarkExecute times what a step costs the host: state is donated, its arrays are small.
func BenchmarkExecute(b *testing.B) {
	for _, count := range []int{1, 100, 600} {
		b.Run(fmt.Sprintf("%d arrays", count), func(b *testing.B) {
			c := cpu(b, 1)
			e := compile(b, c, manyProgram(count), pjrt.CompileOptions{})
			d := e.Devices()[0]
			args, donate := [][]*pjrt.Buffer{make([]*pjrt.Buffer, count+1)}, make([]int, count)
			for i := range donate {
				donate[i] = i
				args[0][i] = send(b, d, c, filled(64, 0), 64)
			}
			args[0][count] = send(b, d, c, filled(64, 1), 64)
			b.ReportAllocs()
			for b.Loop() {
				outputs, done, err := e.Execute(args, donate...)
				if err != nil {
					b.Fatal(err)
				}
				copy(args[0], outputs[0][:count])
				outputs[0][count].Close()
				if err := done.Await(); err != nil {
					b.Fatal(err)
				}
			}
			for _, state := range args[0][:count] {
				state.Close()
			}
		})
	}
}
