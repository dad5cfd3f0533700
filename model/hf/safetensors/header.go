package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// headerReader reads the JSON header token by token: encoding/json alone keeps the last of two equal keys,
// folds the case of names and takes null for anything.
type headerReader struct{ *json.Decoder }

func parseHeader(header []byte) (*File, []byteRange, error) {
	r := headerReader{json.NewDecoder(bytes.NewReader(header))}
	r.UseNumber()
	file := &File{}
	var ranges []byteRange
	err := r.object("the header", func(name string) (err error) {
		if name == "__metadata__" {
			file.Metadata, err = r.metadata()
			return err
		}
		e, err := r.entry(name)
		if err != nil {
			return err
		}
		t, place, err := e.tensor(name)
		file.Tensors, ranges = append(file.Tensors, t), append(ranges, place)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if rest, _ := io.ReadAll(r.Buffered()); len(bytes.Trim(rest, " ")) > 0 {
		return nil, nil, fmt.Errorf("text follows the JSON header inside its length")
	}
	return file, ranges, nil
}

// object reads an object whose keys are all different and calls value at each one's value.
func (r headerReader) object(what string, value func(key string) error) error {
	if t, err := r.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object", what)
	}
	seen := map[string]bool{}
	for r.More() {
		t, err := r.Token()
		if err != nil {
			return fmt.Errorf("%s is broken JSON: %w", what, err)
		}
		key := t.(string) // the decoder takes no other keys
		if seen[key] {
			return fmt.Errorf("%s has the key %.200q twice", what, key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	if _, err := r.Token(); err != nil {
		return fmt.Errorf("%s is broken JSON: %w", what, err)
	}
	return nil
}

func (r headerReader) metadata() (map[string]string, error) {
	found := map[string]string{}
	err := r.object("__metadata__", func(key string) (err error) {
		found[key], err = r.text("__metadata__: " + key)
		return err
	})
	return found, err
}

func (r headerReader) entry(name string) (e entry, err error) {
	what := fmt.Sprintf("tensor %.200q", name)
	given := 0
	err = r.object(what, func(key string) (err error) {
		given++
		switch key {
		case "dtype":
			e.dtype, err = r.text(what + ": dtype")
		case "shape":
			e.shape, err = r.numbers(what + ": shape")
		case "data_offsets":
			e.offsets, err = r.numbers(what + ": data_offsets")
		default:
			err = fmt.Errorf("%s has the unknown key %.200q", what, key)
		}
		return err
	})
	if err == nil && given != 3 {
		err = fmt.Errorf("%s has %d of the keys dtype, shape and data_offsets", what, given)
	}
	return e, err
}

func (r headerReader) text(what string) (string, error) {
	t, err := r.Token()
	if s, ok := t.(string); ok && err == nil {
		return s, nil
	}
	return "", fmt.Errorf("%.300s is not a text", what)
}

// numbers reads a list of at most maxRank integers, none negative.
func (r headerReader) numbers(what string) ([]uint64, error) {
	if t, err := r.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%s is not a list", what)
	}
	var list []uint64
	for r.More() {
		t, err := r.Token()
		number, ok := t.(json.Number)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s holds what is no number", what)
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s holds %.30s, which is no integer from 0 to 2^64-1", what, number)
		}
		if list = append(list, n); len(list) > maxRank {
			return nil, fmt.Errorf("%s has more than %d items", what, maxRank)
		}
	}
	if _, err := r.Token(); err != nil {
		return nil, fmt.Errorf("%s is broken JSON: %w", what, err)
	}
	return list, nil
}
