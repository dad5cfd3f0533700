package track

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// An event as the test reads it back.
type readEvent struct {
	step    int64
	version string
	started bool
	values  map[string]float32
}

// readEvents reads an event file: length, masked CRC32C, data, masked CRC32C.
func readEvents(t *testing.T, path string) (events []readEvent) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(data []byte) uint32 {
		crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		return crc>>15 + crc<<17 + 0xa282ead8
	}
	for len(text) > 0 {
		size := binary.LittleEndian.Uint64(text)
		data := text[12 : 12+size]
		if sum(text[:8]) != binary.LittleEndian.Uint32(text[8:]) || sum(data) != binary.LittleEndian.Uint32(text[12+size:]) {
			t.Fatalf("%s: wrong checksum in event %d", path, len(events))
		}
		text = text[16+size:]
		event := readEvent{values: map[string]float32{}}
		eachField(t, data, func(number protowire.Number, scalar uint64, content []byte) {
			switch number {
			case 1:
				if seconds := math.Float64frombits(scalar); seconds < 1.7e9 || seconds > 1e10 {
					t.Errorf("wall time %v", seconds)
				}
			case 2:
				event.step = int64(scalar)
			case 3:
				event.version = string(content)
			case 5:
				eachField(t, content, func(_ protowire.Number, _ uint64, value []byte) { readValue(t, value, event.values) })
			case 7:
				eachField(t, content, func(_ protowire.Number, status uint64, _ []byte) { event.started = status == 1 })
			}
		})
		events = append(events, event)
	}
	return events
}

func readValue(t *testing.T, message []byte, values map[string]float32) {
	var tag string
	eachField(t, message, func(number protowire.Number, scalar uint64, content []byte) {
		if number == 1 {
			tag = string(content)
		} else {
			values[tag] = math.Float32frombits(uint32(scalar))
		}
	})
}

func eachField(t *testing.T, message []byte, call func(number protowire.Number, scalar uint64, content []byte)) {
	t.Helper()
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		message = message[max(n, 0):]
		var scalar uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			scalar, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			scalar, n = protowire.ConsumeFixed64(message)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(message)
			scalar = uint64(short)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatalf("not a protocol buffer: %v", protowire.ParseError(n))
		}
		message = message[n:]
		call(number, scalar, content)
	}
}

func eventFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no event files in %s", dir)
	}
	slices.Sort(files)
	return files
}

func TestTensorBoard(t *testing.T) {
	dir := t.TempDir()
	board, err := OpenTensorBoard(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	odd := Unknown(2)
	odd.RTDAUC, odd.MLMLoss, odd.GradNorm = 0.75, math.Inf(1), 0
	for _, m := range []Metrics{example(1, ""), odd, example(2, Valid)} {
		if err := board.Log(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := board.Finish(); err != nil {
		t.Fatal(err)
	}
	train := readEvents(t, eventFiles(t, filepath.Join(dir, "train"))[0])
	if len(train) != 3 || train[0].version != "brain.Event:2" || train[1].step != 1 || train[2].step != 2 {
		t.Fatalf("training events: %+v", train)
	}
	first := example(1, "")
	for _, f := range fields {
		got, ok := train[1].values[f.group+"/"+f.key]
		if f.key == "elapsed_s" != !ok || ok && got != float32(*f.value(&first)) {
			t.Errorf("%s is %v (there: %v)", f.key, got, ok)
		}
	}
	if want := (map[string]float32{"discriminator/rtd_auc": 0.75, "optimizer/grad_norm": 0}); len(train[2].values) != 2 || train[2].values["discriminator/rtd_auc"] != want["discriminator/rtd_auc"] {
		t.Errorf("values that are not finite are left out: %v, want %v", train[2].values, want)
	}
	valid := readEvents(t, eventFiles(t, filepath.Join(dir, "valid"))[0])
	if _, there := valid[1].values["optimizer/learning_rate"]; len(valid) != 2 || valid[1].step != 2 || there {
		t.Errorf("validation events: %+v", valid)
	}
}

func TestTensorBoardResume(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []int64{0, 40} {
		board, err := OpenTensorBoard(dir, step)
		if err != nil {
			t.Fatal(err)
		}
		board.Finish()
	}
	files := eventFiles(t, filepath.Join(dir, "train"))
	if len(files) != 2 {
		t.Fatalf("%d event files", len(files))
	}
	if events := readEvents(t, files[0]); len(events) != 1 {
		t.Errorf("a fresh run begins with %+v", events)
	}
	if events := readEvents(t, files[1]); len(events) != 2 || !events[1].started || events[1].step != 41 {
		t.Errorf("a resumed run begins with %+v, want a session start at step 41", events)
	}
}
