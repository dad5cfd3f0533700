package corpus

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// fastField finds a field that holds a string in a JSON object, several times faster than encoding/json:
// records are mostly one long string, which it passes over once. It is as strict, and it leaves everything
// unusual to encoding/json: ok is false for a line that is no object, for a field that is missing, twice
// there or no string, and for names with escapes.
func fastField(line []byte, name string) (text string, ok bool) {
	i := space(line, 0)
	if i == len(line) || line[i] != '{' {
		return "", false
	}
	for i++; ; i++ {
		i = space(line, i)
		end := valueEnd(line, i)
		if end == i || line[i] != '"' || bytes.IndexByte(line[i:end], '\\') >= 0 || !json.Valid(line[i:end]) {
			return "", false
		}
		key := line[i+1 : end-1]
		if i = space(line, end); i == len(line) || line[i] != ':' {
			return "", false
		}
		i = space(line, i+1)
		end = valueEnd(line, i)
		if string(key) != name {
			if !json.Valid(line[i:end]) {
				return "", false
			}
		} else if ok || end == i || line[i] != '"' {
			return "", false
		} else if text, ok = unquote(line[i+1 : end-1]); !ok {
			return "", false
		}
		if i = space(line, end); i == len(line) || line[i] != ',' {
			break
		}
	}
	return text, ok && i < len(line) && line[i] == '}' && space(line, i+1) == len(line)
}

// space gives the first place from i on that is not JSON's white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// valueEnd gives the end of the JSON value that begins at i; i itself where none ends. It trusts the value
// to be sound.
func valueEnd(b []byte, i int) int {
	depth := 0
	for j := i; j < len(b); {
		switch b[j] {
		case '"':
			end := stringEnd(b, j)
			if end == j {
				return i
			}
			j = end
		case '{', '[':
			depth++
			j++
		case '}', ']':
			if depth == 0 { // of the object around a number or literal
				return j
			}
			depth--
			j++
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return j
			}
			j++
			continue
		default: // numbers and literals go on to a separator
			j++
			continue
		}
		if depth == 0 {
			return j
		}
	}
	return i
}

// stringEnd gives the place after the quote that ends the string that begins at i; i itself where none does.
func stringEnd(b []byte, i int) int {
	for j := i + 1; ; {
		quote := bytes.IndexByte(b[j:], '"')
		if quote < 0 {
			return i
		}
		j += quote + 1
		escapes := 0
		for k := j - 2; k > i && b[k] == '\\'; k-- {
			escapes++
		}
		if escapes%2 == 0 {
			return j
		}
	}
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote decodes what stands between the quotes of a JSON string. As in encoding/json, half a surrogate
// pair becomes U+FFFD.
func unquote(quoted []byte) (text string, ok bool) {
	for _, c := range quoted {
		if c < ' ' {
			return "", false
		}
	}
	out := make([]byte, 0, len(quoted))
	for {
		i := bytes.IndexByte(quoted, '\\')
		if i < 0 {
			return string(append(out, quoted...)), true
		}
		if out = append(out, quoted[:i]...); i+1 == len(quoted) {
			return "", false
		}
		escape := quoted[i+1]
		quoted = quoted[i+2:]
		if c, known := escapes[escape]; known {
			out = append(out, c)
			continue
		}
		r, valid := hex4(quoted)
		if escape != 'u' || !valid {
			return "", false
		}
		quoted = quoted[4:]
		if utf16.IsSurrogate(r) && bytes.HasPrefix(quoted, []byte(`\u`)) {
			low, _ := hex4(quoted[2:])
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				r, quoted = both, quoted[6:]
			}
		}
		out = utf8.AppendRune(out, r) // U+FFFD for a half pair
	}
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}
