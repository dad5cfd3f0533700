package pjrt

import (
	"maps"
	"math"
	"slices"
	"unsafe"

	"elektron/internal/fault"
)

// Options are named values for a client or a topology, such as cpu_device_count: int64(4). A value is a string,
// int, int64, []int64, float32, float64 or bool. Which names there are is up to the plugin.
type Options map[string]any

// encode writes the options as the ABI has them, sorted by name, and lends them to the plugin.
func (o Options) encode(pins *pinner) (list handle, count uintptr, err error) {
	encoded := make([]namedValue, 0, len(o))
	for _, name := range slices.Sorted(maps.Keys(o)) {
		v, err := encodeValue(pins, name, o[name])
		if err != nil {
			return 0, 0, err
		}
		encoded = append(encoded, v)
	}
	return lend(pins, encoded), uintptr(len(encoded)), nil
}

func encodeValue(pins *pinner, name string, value any) (namedValue, error) {
	v := namedValue{name: pins.text(name), nameSize: uintptr(len(name)), size: 1}
	v.structSize = structSize[namedValue]()
	switch value := value.(type) {
	case string:
		v.kind, v.value, v.size = namedString, int64(pins.text(value+"\x00")), uintptr(len(value))
	case int:
		v.kind, v.value = namedInt64, int64(value)
	case int64:
		v.kind, v.value = namedInt64, value
	case []int64:
		v.kind, v.value, v.size = namedInt64List, int64(lend(pins, value)), uintptr(len(value))
	case float32:
		v.kind, v.value = namedFloat, int64(math.Float32bits(value))
	case float64:
		v.kind, v.value = namedFloat, int64(math.Float32bits(float32(value)))
	case bool:
		v.kind = namedBool
		if value {
			v.value = 1
		}
	default:
		return v, fault.New(fault.Internal, "option %s: a plugin takes no %T; give a string, integer, list of int64, float or bool", name, value)
	}
	return v, nil
}

// values copies named values of the plugin's: string, int64, []int64, float32 and bool. The unions are read in
// the byte order of all machines that have plugins, little endian.
func values(start *namedValue, count uintptr) map[string]any {
	read := make(map[string]any, count)
	if start == nil {
		return read
	}
	list := unsafe.Slice(start, count)
	for i := range list {
		v := &list[i]
		name := text(*(**byte)(unsafe.Pointer(&v.name)), v.nameSize)
		switch v.kind {
		case namedString:
			read[name] = text(*(**byte)(unsafe.Pointer(&v.value)), v.size)
		case namedInt64:
			read[name] = v.value
		case namedInt64List:
			read[name] = clone(*(**int64)(unsafe.Pointer(&v.value)), v.size)
		case namedFloat:
			read[name] = math.Float32frombits(uint32(v.value))
		case namedBool:
			read[name] = v.value&1 == 1
		}
	}
	return read
}
