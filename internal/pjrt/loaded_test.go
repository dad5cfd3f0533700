package pjrt_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/pjrt/hlo"
)

// TestSerialize writes a program and loads it again, on another client too: as after a restart.
func TestSerialize(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	compiled := compile(t, c, aliasedProgram, pjrt.CompileOptions{})
	serialized, err := compiled.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	compiled.Close()
	restarted, err := cpuPlugin(t).NewClient(pjrt.ClientOptions{Options: pjrt.Options{"cpu_device_count": 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer restarted.Close()
	for _, c := range []*pjrt.Client{c, restarted} {
		e, err := c.Load(serialized)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		d := e.Devices()[0]
		state := send(t, d, c, filled(1024, 1), 1024)
		outputs := execute(t, e, [][]*pjrt.Buffer{{state, send(t, d, c, filled(1024, 2), 1024)}}, 0)
		if got := fetch(t, outputs[0][1], 1)[0]; got != 3072 || e.Name != "update" || !state.Deleted() {
			t.Errorf("the loaded program %s gave %v", e.Name, got)
		}
	}
}

func TestLoadDamaged(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	sound, err := compile(t, c, addProgram, pjrt.CompileOptions{}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.IndexByte(sound, '\n') + 1
	for _, c2 := range []struct {
		name   string
		damage func([]byte) []byte
		kind   fault.Kind
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, fault.Data, "0 bytes are no compiled program"},
		{"text", func([]byte) []byte { return []byte("module @add {}") }, fault.Data, "no compiled program"},
		{"cut off in the head", func(b []byte) []byte { return b[:start+5] }, fault.Data, "no compiled program"},
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] }, fault.Data, "damaged"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, fault.Data, "damaged"},
		{"a bit of the code", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, fault.Data, "damaged"},
		{"a bit of the sum", func(b []byte) []byte { b[start] ^= 1; return b }, fault.Data, "damaged"},
		{"another plugin's", func(b []byte) []byte {
			code := []byte(strings.Repeat("no executable", 100))
			sum := sha256.Sum256(code)
			return slices.Concat(b[:start], sum[:], code)
		}, fault.Device, "PJRT_Executable_DeserializeAndLoad"},
	} {
		t.Run(c2.name, func(t *testing.T) {
			_, err := c.Load(c2.damage(bytes.Clone(sound)))
			wantError(t, err, c2.kind, c2.want)
		})
	}
}

// TestOptimizedProgram reads the compiler's program with package hlo: the CPU compiler notes how often loops go
// round.
func TestOptimizedProgram(t *testing.T) {
	c := cpu(t, 1)
	code, format, err := compile(t, c, loopProgram, pjrt.CompileOptions{}).OptimizedProgram()
	if err != nil || format != "hlo_with_config" {
		t.Fatalf("format %q, %v", format, err)
	}
	m, err := hlo.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	var rounds []int64
	for _, cost := range m.Costs() {
		if cost.Opcode == "while" {
			rounds = append(rounds, cost.TripCount)
		}
	}
	if m.Name != "loop" || len(m.UnknownLoops()) != 0 || len(rounds) == 0 || slices.Max(rounds) != 6 {
		t.Errorf("module %s has loops of %v rounds", m.Name, rounds)
	}
}

func TestCompileErrors(t *testing.T) {
	c := cpu(t, 1)
	balanced(t)
	for _, c2 := range []struct {
		name, program string
		options       pjrt.CompileOptions
		kind          fault.Kind
		words         []string
	}{
		{"no program", "", pjrt.CompileOptions{}, fault.Internal, []string{"compiling for cpu", "PJRT_Client_Compile"}},
		{"no StableHLO", "module @x { nonsense }", pjrt.CompileOptions{}, fault.Internal, []string{"UNKNOWN", "nonsense"}},
		{"wrong types", strings.Replace(addProgram, "%b: tensor<3xf32>", "%b: tensor<4xf32>", 1), pjrt.CompileOptions{}, fault.Internal, []string{"tensor<3xf32>", "tensor<4xf32>"}},
		{"cut off", addProgram[:len(addProgram)-30], pjrt.CompileOptions{}, fault.Internal, nil},
		{"too few assigned", addProgram, pjrt.CompileOptions{NumPartitions: 2, DeviceAssignment: []int{0}}, fault.Internal, []string{"1 devices are assigned to 1 replicas of 2 partitions"}},
		{"no such device", addProgram, pjrt.CompileOptions{DeviceAssignment: []int{77}}, fault.Internal, []string{"77"}},
		{"too many replicas", addProgram, pjrt.CompileOptions{NumReplicas: 3}, fault.Internal, []string{"device_id 1"}},
		{"no such override", addProgram, pjrt.CompileOptions{Overrides: map[string]any{"xla_no_such_option": true}}, fault.Internal, []string{"xla_no_such_option"}},
		{"no such type", addProgram, pjrt.CompileOptions{Overrides: map[string]any{"xla_dump_to": []string{"x"}}}, fault.Internal, []string{"xla_dump_to", "[]string"}},
	} {
		t.Run(c2.name, func(t *testing.T) {
			_, err := c.Compile(c2.program, c2.options)
			wantError(t, err, c2.kind, c2.words...)
		})
	}
}

// TestOverrides: each type of override reaches the compiler.
func TestOverrides(t *testing.T) {
	c := cpu(t, 1)
	for name, value := range map[string]any{
		"xla_cpu_enable_fast_math": true, "xla_backend_optimization_level": 1, "xla_dump_hlo_module_re": "none",
		"xla_llvm_disable_expensive_passes": true, "xla_multiheap_size_constraint_per_heap": int64(-1),
	} {
		compile(t, c, addProgram, pjrt.CompileOptions{Overrides: map[string]any{name: value}}).Close()
	}
}

// TestEncode: equal options give equal bytes, and every option changes them, so that they can be part of a key.
func TestEncode(t *testing.T) {
	encode := func(o pjrt.CompileOptions) string {
		encoded, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	seen := map[string]pjrt.CompileOptions{}
	for _, o := range []pjrt.CompileOptions{
		{}, {NumReplicas: 2}, {NumPartitions: 2}, {SPMD: true}, {Shardy: true},
		{NumReplicas: 2, DeviceAssignment: []int{0, 1}}, {NumReplicas: 2, DeviceAssignment: []int{1, 0}}, {NumPartitions: 2, DeviceAssignment: []int{0, 1}},
		{Overrides: map[string]any{"a": 1, "b": "x", "c": true, "d": 0.5, "e": int64(-1)}}, {Overrides: map[string]any{"a": true}}, {Overrides: map[string]any{"b": true}},
	} {
		encoded := encode(o)
		if other, found := seen[encoded]; found {
			t.Errorf("%+v is written as %+v", o, other)
		}
		seen[encoded] = o
		for range 10 {
			if encode(o) != encoded {
				t.Errorf("%+v is written in several ways", o)
			}
		}
	}
	if encode(pjrt.CompileOptions{NumReplicas: 1, NumPartitions: 1}) != encode(pjrt.CompileOptions{}) {
		t.Error("1 and unset differ")
	}
}
