package settings

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// raw is a value before its type is known: texts, one for a scalar.
type raw struct {
	items []string
	list  bool
}

// fromGo turns a value that code gave into text, so that there is one way to read values.
func fromGo(value any) raw {
	v := reflect.ValueOf(value)
	switch {
	case value == nil:
		return raw{items: []string{"nil"}}
	case isList(v.Type()):
		return raw{items: v.Convert(reflect.TypeFor[[]string]()).Interface().([]string), list: true}
	case v.CanFloat():
		return raw{items: []string{strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())}}
	}
	return raw{items: []string{fmt.Sprint(value)}}
}

// splitAtCommas is how a command line writes a list.
func splitAtCommas(value raw) raw {
	list := raw{items: []string{}, list: true}
	for _, text := range value.items {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list.items = append(list.items, item)
			}
		}
	}
	return list
}

// parse reads the value as type t.
func (r raw) parse(t reflect.Type) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	if isList(t) {
		v.Set(reflect.MakeSlice(t, len(r.items), len(r.items)))
		for i, item := range r.items {
			v.Index(i).SetString(item)
		}
		return v, nil
	}
	if r.list {
		return v, fmt.Errorf("want one value, got a list of %d", len(r.items))
	}
	return v, parseScalar(v, r.items[0])
}

func parseScalar(v reflect.Value, text string) error {
	if v.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	text = strings.TrimSpace(text)
	switch typeName(v.Type()) {
	case "bool":
		return parseBool(v, text)
	case "duration":
		return parseDuration(v, text)
	case "float":
		return parseFloat(v, text)
	}
	return parseInt(v, text)
}

func parseBool(v reflect.Value, text string) error {
	switch strings.ToLower(text) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return fmt.Errorf("want true or false, got %q", clip(text))
	}
	return nil
}

func parseDuration(v reflect.Value, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("want a duration with its unit, such as 30s or 1h30m, got %q", clip(text))
	}
	v.SetInt(int64(d))
	return nil
}

// number is a decimal number: sign, whole digits, fraction, exponent. The exponent's length is bounded
// so that a hostile one costs nothing.
var number = regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?$`)

// underscores are allowed between digits: 1_000_000.
var underscores = regexp.MustCompile(`([0-9])_([0-9])`)

// digits returns the parts of a decimal number.
func digits(text string) (sign, whole, fraction string, exponent int, ok bool) {
	parts := number.FindStringSubmatch(text)
	if parts == nil || parts[2]+parts[3] == "" {
		return "", "", "", 0, false
	}
	exponent, _ = strconv.Atoi(parts[4])
	return parts[1], parts[2], parts[3], exponent, true
}

func stripUnderscores(text string) string {
	for underscores.MatchString(text) { // twice at most: matches of 1_2_3 overlap
		text = underscores.ReplaceAllString(text, "$1$2")
	}
	return text
}

func parseFloat(v reflect.Value, text string) error {
	plain := stripUnderscores(text)
	if _, _, _, _, ok := digits(plain); !ok {
		return fmt.Errorf("want a number such as 0.002 or 2e-3, got %q", clip(text))
	}
	f, err := strconv.ParseFloat(plain, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("%s is out of the range of a %d-bit float", clip(text), v.Type().Bits())
	}
	v.SetFloat(f)
	return nil
}

// parseInt reads a whole number, also one written with a fraction or exponent if it is exactly whole.
func parseInt(v reflect.Value, text string) error {
	whole, ok := exactInt(stripUnderscores(text))
	if !ok {
		return fmt.Errorf("want a whole number such as 12000 or 1e5, got %q", clip(text))
	}
	var err error
	if v.CanUint() {
		var u uint64
		u, err = strconv.ParseUint(strings.TrimPrefix(whole, "+"), 10, v.Type().Bits())
		v.SetUint(u)
	} else {
		var i int64
		i, err = strconv.ParseInt(whole, 10, v.Type().Bits())
		v.SetInt(i)
	}
	if err != nil {
		return fmt.Errorf("%s is out of the range of %s", clip(text), v.Kind())
	}
	return nil
}

// exactInt moves the decimal point of a number by its exponent; what is left behind the point must be 0.
func exactInt(text string) (string, bool) {
	sign, whole, fraction, exponent, ok := digits(text)
	if !ok {
		return "", false
	}
	all := whole + fraction
	point := len(whole) + exponent
	switch {
	case point < 0:
		point = 0
	case point > len(all):
		all += strings.Repeat("0", point-len(all))
	}
	if strings.Trim(all[point:], "0") != "" {
		return "", false
	}
	all = strings.TrimLeft(all[:point], "0")
	if all == "" {
		return "0", true
	}
	return sign + all, true
}

func checkFinite(v reflect.Value) error {
	if v.CanFloat() && (math.IsInf(v.Float(), 0) || math.IsNaN(v.Float())) {
		return errors.New("want a finite number")
	}
	return nil
}

// typeName is the type of a key as listings show it, empty for a type that is not supported.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case isList(t):
		return "list"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	}
	return ""
}

func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String
}

// format writes a value as YAML that reads back as the same value.
func format(v reflect.Value) string {
	switch typeName(v.Type()) {
	case "string":
		return formatString(v.String())
	case "float":
		return formatFloat(v.Float(), v.Type().Bits())
	case "list":
		items := make([]string, v.Len())
		for i := range items {
			items[i] = formatString(v.Index(i).String())
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// formatFloat always writes a point: YAML 1.1 readers such as PyYAML take 1e-05 for text.
func formatFloat(f float64, bits int) string {
	text := strconv.FormatFloat(f, 'g', -1, bits)
	mantissa, exponent, hasExponent := strings.Cut(text, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if hasExponent {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// plainText is text that no YAML reader takes for anything but text, apart from the reserved words.
var plainText = regexp.MustCompile(`^[A-Za-z/_][A-Za-z0-9_./+-]*$`)

var reservedWords = map[string]bool{
	"true": true, "false": true, "null": true, "yes": true, "no": true, "on": true, "off": true, "y": true, "n": true,
}

// formatString quotes where needed. Text that is not UTF-8 (a file name can be) becomes base64.
func formatString(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "!!binary " + base64.StdEncoding.EncodeToString([]byte(text))
	case plainText.MatchString(text) && !reservedWords[strings.ToLower(text)]:
		return text
	}
	return strconv.Quote(text) // Go's escapes are a subset of YAML's
}
