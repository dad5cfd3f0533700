package pjrt_test

import (
	"fmt"
	"slices"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
)

// sharded splits rows over the devices, updates a weight that all of them hold by the mean over all rows, and gives
// each device its rows back, doubled.
func sharded(devices int) string {
	return fmt.Sprintf(`module @sharded {
  sdy.mesh @mesh = <["data"=%d]>
  func.func @main(%%weight: tensor<4xf32> {tf.aliasing_output = 0 : i32, sdy.sharding = #sdy.sharding<@mesh, [{}]>},
                  %%rows: tensor<8x4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"data"}, {}]>})
      -> (tensor<4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{}]>}, tensor<8x4xf32> {sdy.sharding = #sdy.sharding<@mesh, [{"data"}, {}]>}) {
    %%zero = stablehlo.constant dense<0.0> : tensor<f32>
    %%sum = stablehlo.reduce(%%rows init: %%zero) applies stablehlo.add across dimensions = [0] : (tensor<8x4xf32>, tensor<f32>) -> tensor<4xf32>
    %%eighth = stablehlo.constant dense<0.125> : tensor<4xf32>
    %%mean = stablehlo.multiply %%sum, %%eighth : tensor<4xf32>
    %%next = stablehlo.subtract %%weight, %%mean : tensor<4xf32>
    %%double = stablehlo.add %%rows, %%rows : tensor<8x4xf32>
    return %%next, %%double : tensor<4xf32>, tensor<8x4xf32>
  }
}`, devices)
}

func TestSharded(t *testing.T) {
	rows := make([]float32, 32)
	for i := range rows {
		rows[i] = float32(i)
	}
	for _, n := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("%d devices", n), func(t *testing.T) {
			c := cpu(t, n)
			balanced(t)
			var ids []int
			for _, d := range c.Devices() {
				ids = append(ids, d.ID)
			}
			slices.Reverse(ids) // another order than the plugin's own
			e := compile(t, c, sharded(n), pjrt.CompileOptions{NumPartitions: n, SPMD: true, Shardy: true, DeviceAssignment: ids})
			if e.NumPartitions != n || len(e.Devices()) != n || fmt.Sprint(e.Outputs) != fmt.Sprintf("[f32[4] f32[%d 4]]", 8/n) {
				t.Fatalf("%d partitions on %v, outputs of one device %v", e.NumPartitions, e.Devices(), e.Outputs)
			}
			args := make([][]*pjrt.Buffer, n)
			for i, d := range e.Devices() {
				if d.ID != ids[i] {
					t.Errorf("part %d runs on device %d, not %d", i, d.ID, ids[i])
				}
				shard := rows[i*32/n : (i+1)*32/n]
				args[i] = []*pjrt.Buffer{send(t, d, c, []float32{1, 1, 1, 1}, 4), send(t, d, c, shard, 8/n, 4)}
			}
			outputs := execute(t, e, args, 0)
			for i := range n {
				if got := fetch(t, outputs[i][0], 4); !slices.Equal(got, []float32{-13, -14, -15, -16}) {
					t.Errorf("device %d has the weight %v: its mean is not over all rows", i, got)
				}
				if got, want := fetch(t, outputs[i][1], 32/n), rows[i*32/n]*2; got[0] != want {
					t.Errorf("device %d gave row %v, not %v", i, got[0], want)
				}
				if at, err := outputs[i][0].Device(); err != nil || at != e.Devices()[i] {
					t.Errorf("output of device %d is on %v, %v", i, at, err)
				}
				if !args[i][0].Deleted() || args[i][1].Deleted() {
					t.Errorf("device %d: the weight must be donated, the rows not", i)
				}
			}
			short := [][]*pjrt.Buffer{args[0][1:], nil, nil, nil}[:n]
			if n > 1 {
				_, _, err := e.Execute(short)
				wantError(t, err, fault.Internal, "device 1 got 0 arguments, device 0 1")
			}
		})
	}
}

// TestReplicated runs a program as two replicas that do not know of each other.
func TestReplicated(t *testing.T) {
	c := cpu(t, 2)
	balanced(t)
	e := compile(t, c, addProgram, pjrt.CompileOptions{NumReplicas: 2})
	args := make([][]*pjrt.Buffer, 2)
	for i, d := range e.Devices() {
		args[i] = []*pjrt.Buffer{send(t, d, c, []float32{1, 2, 3}, 3), send(t, d, c, filled(3, float32(i)), 3)}
	}
	outputs := execute(t, e, args)
	if got := fetch(t, outputs[1][0], 3); e.NumReplicas != 2 || !slices.Equal(got, []float32{2, 3, 4}) {
		t.Errorf("%d replicas, the second gave %v", e.NumReplicas, got)
	}
}

// TestAssignment: an assignment lists the partitions of the first replica, then those of the next.
func TestAssignment(t *testing.T) {
	c := cpu(t, 4)
	balanced(t)
	want := []int{3, 1, 2, 0}
	e := compile(t, c, addProgram, pjrt.CompileOptions{NumReplicas: 2, NumPartitions: 2, SPMD: true, DeviceAssignment: want})
	var got []int
	for _, d := range e.Devices() {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("runs on %v, not %v", got, want)
	}
}

func TestDevices(t *testing.T) {
	c := cpu(t, 4)
	devices := c.Devices()
	if len(devices) != 4 || len(c.AddressableDevices()) != 4 || c.ProcessIndex != 0 || c.Platform != "cpu" || c.PlatformVersion == "" {
		t.Fatalf("%s, version %q, devices %v", c, c.PlatformVersion, devices)
	}
	for i, d := range devices {
		if d.ID != i || d.Kind == "" || d.Text == "" || d.ProcessIndex != 0 || !d.Addressable || d.LocalHardwareID != i {
			t.Errorf("device %d: %+v", i, d)
		}
		if _, err := d.Memory(); err != nil && pjrt.CodeOf(err) != pjrt.Unimplemented {
			t.Errorf("memory of %s: %v", d, err)
		}
	}
	attributes, err := c.Plugin().Attributes()
	if version, ok := attributes["stablehlo_current_version"].([]int64); err != nil || !ok || len(version) != 3 {
		t.Errorf("plugin attributes %v, %v", attributes, err)
	}
}
