package hlo

import (
	"fmt"
	"regexp"
	"strconv"

	"elektron/internal/fault"

	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers are those of xla/service/hlo.proto and xla/xla_data.proto.

// Parse reads a serialised HloModuleProtoWithConfig, pjrt's format hlo_with_config. What is no such proto is an
// error of kind Internal: the compiler wrote it.
func Parse(withConfig []byte) (*Module, error) {
	m, err := parse(withConfig)
	if err != nil {
		return nil, fault.New(fault.Internal, "reading the compiled program (%d bytes): %w", len(withConfig), err)
	}
	return m, nil
}

func parse(withConfig []byte) (*Module, error) {
	p := &parser{module: &Module{}, computations: map[int64]*Computation{}}
	found := false
	err := fields(withConfig, func(f field) error {
		if f.number != 1 {
			return nil
		}
		found = true
		return p.parseModule(f.bytes)
	})
	if err == nil && !found {
		err = fmt.Errorf("it holds no module")
	}
	if err == nil {
		err = p.link()
	}
	return p.module, err
}

// parser keeps ids until all that they name is known.
type parser struct {
	module       *Module
	entry        int64
	computations map[int64]*Computation
	calls        []reference
}

// reference is an instruction that names another one, or a computation, by its id.
type reference struct {
	from *Instruction
	to   int64
}

// callees is how many computations the instructions of control flow call.
var callees = map[string]int{"while": 2, "call": 1, "async-start": 1}

// link turns the ids of computations into pointers.
func (p *parser) link() error {
	p.module.Entry = p.computations[p.entry]
	if p.module.Entry == nil {
		return fmt.Errorf("its entry computation %d is missing", p.entry)
	}
	for _, c := range p.calls {
		callee := p.computations[c.to]
		if callee == nil {
			return fmt.Errorf("%s calls computation %d, which is missing", c.from.Name, c.to)
		}
		c.from.Called = append(c.from.Called, callee)
	}
	for _, c := range p.module.Computations {
		for _, i := range c.Instructions {
			if want, fixed := callees[i.Opcode]; fixed && len(i.Called) != want {
				return fmt.Errorf("%s calls %d computations, not %d", i.Name, len(i.Called), want)
			}
			if i.Opcode == "while" && i.TripCount < 0 {
				i.TripCount = inferTripCount(i)
			}
		}
	}
	return nil
}

func (p *parser) parseModule(data []byte) error {
	return fields(data, func(f field) error {
		switch f.number {
		case 1:
			p.module.Name = string(f.bytes)
		case 3:
			return p.parseComputation(f.bytes)
		case 6:
			p.entry = int64(f.value)
		}
		return nil
	})
}

func (p *parser) parseComputation(data []byte) error {
	c := &Computation{}
	var operands []reference
	var root int64
	err := fields(data, func(f field) error {
		switch f.number {
		case 1:
			c.Name = string(f.bytes)
		case 2:
			i, err := p.parseInstruction(f.bytes, &operands)
			c.Instructions = append(c.Instructions, i)
			return err
		case 5:
			c.ID = int64(f.value)
		case 6:
			root = int64(f.value)
		case 7:
			c.Fused = f.value != 0
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.computations[c.ID] = c
	p.module.Computations = append(p.module.Computations, c)
	return c.link(operands, root)
}

// link turns the ids of operands into pointers: they are of the same computation.
func (c *Computation) link(operands []reference, root int64) error {
	byID := make(map[int64]*Instruction, len(c.Instructions))
	for _, i := range c.Instructions {
		byID[i.id] = i
	}
	for _, o := range operands {
		operand := byID[o.to]
		if operand == nil {
			return fmt.Errorf("operand %d of %s is missing", o.to, o.from.Name)
		}
		o.from.Operands = append(o.from.Operands, operand)
	}
	if c.Root = byID[root]; c.Root == nil {
		return fmt.Errorf("computation %s has no result", c.Name)
	}
	return nil
}

func (p *parser) parseInstruction(data []byte, operands *[]reference) (*Instruction, error) {
	i := &Instruction{TripCount: -1}
	err := fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			i.Name = string(f.bytes)
		case 2:
			i.Opcode = string(f.bytes)
		case 3:
			i.Shape, err = parseShape(f.bytes)
		case 7:
			i.OpName, err = opName(f.bytes)
		case 8:
			i.integer, err = parseInteger(f.bytes)
		case 13:
			i.tupleIndex = int64(f.value)
		case 28:
			i.CustomCallTarget = string(f.bytes)
		case 35:
			i.id = int64(f.value)
		case 36:
			err = f.integers(func(id int64) { *operands = append(*operands, reference{i, id}) })
		case 38:
			err = f.integers(func(id int64) { p.calls = append(p.calls, reference{i, id}) })
		case 43:
			i.BackendConfig = string(f.bytes)
			i.readBackendConfig()
		case 47:
			i.HostTransfer = f.value != 0
		case 63:
			i.direction = string(f.bytes)
		}
		return err
	})
	return i, err
}

// opName is a field of OpMetadata.
func opName(data []byte) (name string, err error) {
	err = fields(data, func(f field) error {
		if f.number == 2 {
			name = string(f.bytes)
		}
		return nil
	})
	return name, err
}

// The compiler's notes hold these wherever their kind has a place for them.
var (
	estimatedCycles = regexp.MustCompile(`"estimated_cycles":"(\d+)"`)
	knownTripCount  = regexp.MustCompile(`"known_trip_count":\{"n":"(\d+)"`)
)

func (i *Instruction) readBackendConfig() {
	for _, match := range estimatedCycles.FindAllStringSubmatch(i.BackendConfig, -1) {
		cycles, _ := strconv.ParseInt(match[1], 10, 64)
		i.Cycles += cycles
	}
	if match := knownTripCount.FindStringSubmatch(i.BackendConfig); match != nil {
		i.TripCount, _ = strconv.ParseInt(match[1], 10, 64)
	}
}

// parseInteger reads a LiteralProto of one 32- or 64-bit integer; it gives nil for any other.
func parseInteger(data []byte) (value *int64, err error) {
	count := 0
	err = fields(data, func(f field) error {
		if f.number < 4 || f.number > 7 {
			return nil
		}
		return f.integers(func(v int64) {
			count++
			value = &v
		})
	})
	if count != 1 {
		return nil, err
	}
	return value, err
}

// typeNames are the names of PrimitiveType, by number.
var typeNames = map[uint64]string{
	1: "pred", 2: "s8", 3: "s16", 4: "s32", 5: "s64", 6: "u8", 7: "u16", 8: "u32", 9: "u64", 10: "f16", 11: "f32", 12: "f64",
	13: "tuple", 14: "opaque", 15: "c64", 16: "bf16", 17: "token", 18: "c128", 19: "f8e5m2", 20: "f8e4m3fn", 21: "s4", 22: "u4",
	23: "f8e4m3b11fnuz", 24: "f8e5m2fnuz", 25: "f8e4m3fnuz", 26: "s2", 27: "u2", 28: "f8e4m3", 29: "f8e3m4", 30: "s1", 31: "u1",
	32: "f4e2m1fn", 33: "f8e8m0fnu",
}

func parseShape(data []byte) (s Shape, err error) {
	err = fields(data, func(f field) error {
		switch f.number {
		case 2:
			s.Type = typeNames[f.value]
			if s.Type == "" {
				s.Type = fmt.Sprintf("type%d", f.value)
			}
		case 3:
			return f.integers(func(d int64) { s.Dims = append(s.Dims, int(d)) })
		case 4:
			element, err := parseShape(f.bytes)
			s.Elements = append(s.Elements, element)
			return err
		case 5:
			return fields(f.bytes, func(f field) error {
				if f.number == 8 {
					s.MemorySpace = int(f.value)
				}
				return nil
			})
		case 6:
			return f.integers(func(dynamic int64) { s.Dynamic = s.Dynamic || dynamic != 0 })
		}
		return nil
	})
	return s, err
}

// field is one field of a proto: a number, or bytes.
type field struct {
	number protowire.Number
	value  uint64
	bytes  []byte
}

// fields calls read for each field of a proto, in order.
func fields(data []byte, read func(field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := read(f); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// integers reads a repeated integer: one a field, or several packed.
func (f field) integers(read func(int64)) error {
	if f.bytes == nil {
		read(int64(f.value))
		return nil
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return protowire.ParseError(n)
		}
		read(int64(v))
		rest = rest[n:]
	}
	return nil
}
