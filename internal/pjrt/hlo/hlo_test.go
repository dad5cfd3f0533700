package hlo

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"elektron/internal/fault"

	"google.golang.org/protobuf/encoding/protowire"
)

// proto builds a message field by field.
type proto []byte

func (p proto) number(field protowire.Number, value int64) proto {
	return protowire.AppendVarint(protowire.AppendTag(p, field, protowire.VarintType), uint64(value))
}

func (p proto) message(field protowire.Number, value []byte) proto {
	return protowire.AppendBytes(protowire.AppendTag(p, field, protowire.BytesType), value)
}

func (p proto) text(field protowire.Number, value string) proto {
	return p.message(field, []byte(value))
}

// instruction starts an instruction with its name, id, opcode and operands.
func instruction(id int64, opcode string, operands ...int64) proto {
	p := proto{}.text(1, fmt.Sprintf("%s.%d", opcode, id)).text(2, opcode).number(35, id)
	for _, o := range operands {
		p = p.number(36, o)
	}
	return p
}

// s32 is a constant.
func s32(id, value int64) proto {
	return instruction(id, "constant").message(8, proto{}.message(4, protowire.AppendVarint(nil, uint64(value))))
}

// computation has its last instruction as its result.
func computation(id int64, instructions ...proto) proto {
	p := proto{}.text(1, fmt.Sprintf("computation.%d", id)).number(5, id).number(6, 0)
	for _, i := range instructions {
		p = p.message(2, i)
	}
	return p
}

// root says which instruction is a computation's result.
func (p proto) root(id int64) proto { return p.number(6, id) }

// module has computation 1 as its entry.
func module(computations ...proto) []byte {
	p := proto{}.text(1, "test").number(6, 1)
	for _, c := range computations {
		p = p.message(3, c)
	}
	return proto{}.message(1, p)
}

func mustParse(t *testing.T, data []byte) *Module {
	t.Helper()
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParse(t *testing.T) {
	dims := protowire.AppendVarint(protowire.AppendVarint(nil, 8), 128)
	array := proto{}.number(2, 16).message(3, dims).message(5, proto{}.number(8, 1))
	tuple := proto{}.number(2, 13).message(4, array).message(4, proto{}.number(2, 11))
	fusion := instruction(3, "fusion").message(3, tuple).message(7, proto{}.text(1, "type").text(2, "layer_0/dense")).number(38, 2).
		text(43, `{"window_config":{"estimated_cycles":"12"},"other":{"estimated_cycles":"30"}}`)
	call := instruction(4, "custom-call", 3).text(28, "TopK").number(47, 1).message(3, proto{}.number(2, 5).number(3, 7).number(6, 1))
	m := mustParse(t, module(computation(2, instruction(9, "parameter")).root(9).number(7, 1), computation(1, fusion, call).root(4)))
	if m.Name != "test" || m.Entry != m.Computations[1] || !m.Computations[0].Fused || m.Entry.Fused || m.Entry.Name != "computation.1" {
		t.Errorf("module %+v", m)
	}
	first, last := m.Entry.Instructions[0], m.Entry.Instructions[1]
	if first.Name != "fusion.3" || first.Opcode != "fusion" || first.OpName != "layer_0/dense" || first.Cycles != 42 || first.Called[0] != m.Computations[0] || first.TripCount != -1 {
		t.Errorf("fusion %+v", first)
	}
	if got := first.Shape.String(); got != "(bf16[8,128], f32[])" || first.Shape.Elements[0].MemorySpace != 1 {
		t.Errorf("shape %s, %+v", got, first.Shape)
	}
	if arrays := first.Shape.Arrays(); len(arrays) != 2 || arrays[0].Size() != 1024 || arrays[1].Size() != 1 || arrays[0].Dynamic {
		t.Errorf("arrays %v", arrays)
	}
	if last.CustomCallTarget != "TopK" || !last.HostTransfer || !last.Shape.Dynamic || last.Shape.String() != "s64[7]" ||
		len(last.Operands) != 1 || last.Operands[0] != first || m.Entry.Root != last {
		t.Errorf("custom call %+v", last)
	}
}

func TestParseDamaged(t *testing.T) {
	sound := module(computation(1, s32(5, 1)).root(5))
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "no module"},
		{"cut off", sound[:len(sound)-3], "unexpected EOF"},
		{"text", []byte("HloModule test"), "reading the compiled program"},
		{"no entry", module(computation(3, s32(5, 1)).root(5)), "entry computation 1 is missing"},
		{"no callee", module(computation(1, instruction(5, "call").number(38, 7)).root(5)), "calls computation 7"},
		{"half a loop", module(computation(1, instruction(5, "while").number(38, 1)).root(5)), "calls 1 computations, not 2"},
		{"no operand", module(computation(1, instruction(5, "copy", 6)).root(5)), "operand 6 of copy.5"},
		{"no result", module(computation(1, s32(5, 1)).root(6)), "no result"},
	} {
		_, err := Parse(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	mustParse(t, sound)
}

// loop is a module whose while counts element 0 of its state from start by step, as long as it is on the given side
// of the limit. The state is (counter, limit, step); where fromState is set, limit and step are read from there.
func loop(start, step, limit int64, direction string, fromState, swapped bool) []byte {
	entry := computation(1, s32(10, start), instruction(11, "copy", 10), s32(12, limit), s32(13, step), instruction(14, "tuple", 11, 12, 13),
		instruction(15, "while", 14).number(38, 2).number(38, 3)).root(15)
	bodyStep, conditionLimit := s32(23, step), s32(33, limit)
	if fromState {
		bodyStep, conditionLimit = instruction(23, "get-tuple-element", 20).number(13, 2), instruction(33, "get-tuple-element", 30).number(13, 1)
	}
	body := computation(2, instruction(20, "parameter"), instruction(21, "get-tuple-element", 20).number(13, 0), instruction(22, "get-tuple-element", 20).number(13, 1),
		bodyStep, instruction(26, "get-tuple-element", 20).number(13, 2), instruction(24, "add", 21, 23).text(43, `{"estimated_cycles":"100"}`),
		instruction(25, "tuple", 24, 22, 26)).root(25)
	compare := instruction(34, "compare", 31, 33)
	if swapped {
		compare = instruction(34, "compare", 33, 31)
	}
	condition := computation(3, instruction(30, "parameter"), instruction(31, "get-tuple-element", 30).number(13, 0), conditionLimit,
		compare.text(63, direction)).root(34)
	return module(body, condition, entry)
}

func TestTripCount(t *testing.T) {
	for _, c := range []struct {
		start, step, limit int64
		direction          string
		swapped            bool
		want               int64
	}{
		{0, 1, 5, "LT", false, 5},
		{0, 2, 5, "LT", false, 3},
		{1, 1, 5, "LE", false, 5},
		{5, 1, 5, "LT", false, 0},
		{10, -3, 0, "GT", false, 4},
		{10, -1, 0, "GE", false, 11},
		{0, 1, 7, "NE", false, 7},
		{0, 2, 7, "NE", false, -1},
		{0, 0, 7, "NE", false, -1},
		{0, 1, 5, "GT", true, 5},
		{0, 1, 5, "GE", true, 6},
		{0, 0, 5, "LT", false, -1},
		{0, -1, 5, "LT", false, -1},
		{0, 1, 5, "EQ", false, -1},
	} {
		for _, fromState := range []bool{false, true} {
			m := mustParse(t, loop(c.start, c.step, c.limit, c.direction, fromState, c.swapped))
			while := m.Entry.Root
			if while.TripCount != c.want {
				t.Errorf("%+v, from the state %v: %d rounds", c, fromState, while.TripCount)
			}
			if cycles := Cycles(m.Costs()); cycles != 100*max(c.want, 1) {
				t.Errorf("%+v: %d cycles", c, cycles)
			}
			if unknown := m.UnknownLoops(); (len(unknown) == 1) != (c.want < 0) {
				t.Errorf("%+v: unknown loops %v", c, unknown)
			}
		}
	}
}

// TestTripCountNoted takes the compiler's own count where it gives one.
func TestTripCountNoted(t *testing.T) {
	while := instruction(15, "while").number(38, 2).number(38, 2).text(43, `{"known_trip_count":{"n":"12"},"known_init_step":{"init":"0","step":"1"}}`)
	m := mustParse(t, module(computation(1, while).root(15), computation(2, s32(5, 1)).root(5)))
	if got := m.Entry.Root.TripCount; got != 12 {
		t.Errorf("%d rounds", got)
	}
}

func TestCosts(t *testing.T) {
	costly := func(id, computation, cycles int64) proto {
		return proto{}.text(1, fmt.Sprintf("computation.%d", computation)).number(5, computation).
			message(2, instruction(id, "fusion").text(43, fmt.Sprintf(`{"estimated_cycles":"%d"}`, cycles))).root(id)
	}
	m := mustParse(t, module(costly(60, 6, 5), costly(20, 2, 10), costly(30, 3, 40), costly(40, 4, 7), costly(50, 5, 1000), computation(1,
		instruction(10, "conditional").number(38, 2).number(38, 3),
		instruction(11, "call").number(38, 4),
		instruction(12, "sort").number(38, 5),
		instruction(13, "async-start").number(38, 6),
		instruction(14, "async-start").number(38, 6).text(43, `{"estimated_cycles":"300"}`)).root(14)))
	var got []string
	for _, c := range m.Costs() {
		got = append(got, fmt.Sprintf("%s %d %d", c.Name, c.Runs, c.Cycles))
	}
	want := []string{"conditional.10 1 0", "fusion.30 1 40", "call.11 1 0", "fusion.40 1 7", "sort.12 1 0", "async-start.13 1 0", "fusion.60 1 5", "async-start.14 1 300"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(loop(0, 1, 5, "LT", true, false))
	f.Add(module(computation(1, instruction(5, "call", 5).number(38, 1)).root(5)))
	f.Add(module(computation(1, instruction(5, "copy", 5), instruction(6, "while", 5).number(38, 1).number(38, 1)).root(6)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := Parse(data); err == nil && Cycles(m.Costs()) == math.MinInt64 {
			t.Error("no cycles")
		}
	})
}
