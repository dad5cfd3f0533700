package tf1

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"elektron/internal/fault"
)

// shardSuffix ends the name of a data file.
var shardSuffix = regexp.MustCompile(`\.data-\d{5,}-of-\d{5,}$`)

// newest is the line of a folder's checkpoint file that names the checkpoint to take.
var newest = regexp.MustCompile(`(?m)^model_checkpoint_path:\s*"([^"\n]+)"`)

const maxState = 1 << 20 // bytes of a checkpoint file; anything larger is none

// Find tells whether path is a TensorFlow checkpoint: its prefix ("electra_small"), one of its files, or a
// folder with one in it. It gives the prefix, "" where there is no such checkpoint. Of several in a folder
// it takes the one that the folder's checkpoint file names; without that they are an error of kind
// fault.Usage, and an incomplete checkpoint is one of kind fault.Data.
func Find(path string) (prefix string, err error) {
	prefix = strings.TrimSuffix(shardSuffix.ReplaceAllString(path, ""), ".index")
	if regular(indexFile(prefix)) {
		return prefix, nil
	}
	if shards, _ := filepath.Glob(escape(prefix) + ".data-*-of-*"); len(shards) > 0 || prefix != path {
		return "", fault.New(fault.Data, "tf1: there is no %s; a checkpoint is that and its data files", indexFile(prefix))
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", nil
	}
	return findIn(path)
}

func findIn(folder string) (prefix string, err error) {
	list, _ := filepath.Glob(filepath.Join(escape(folder), "*.index"))
	for i := range list {
		list[i] = strings.TrimSuffix(list[i], ".index")
	}
	if named := stated(folder); named != "" && regular(indexFile(named)) {
		return named, nil
	}
	switch len(list) {
	case 0:
		return "", nil
	case 1:
		return list[0], nil
	}
	return "", fault.New(fault.Usage, "tf1: %s holds %d checkpoints; name one: %s", folder, len(list), strings.Join(list, ", "))
}

// stated reads the checkpoint file that TensorFlow keeps in a folder. The path in it may be that of another
// machine: only its last part counts.
func stated(folder string) string {
	path := filepath.Join(folder, "checkpoint")
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxState {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if found := newest.FindSubmatch(text); found != nil {
		return filepath.Join(folder, filepath.Base(string(found[1])))
	}
	return ""
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// escape makes a path match itself in filepath.Glob.
func escape(path string) string {
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(path, `\$0`)
}
