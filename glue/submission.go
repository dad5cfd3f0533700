package glue

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"elektron/internal/fault"
)

// SubmissionFile is the zip for the GLUE server.
const SubmissionFile = "submission.zip"

// Submission says what is in the zip and what is not.
type Submission struct {
	Path     string            `json:"path,omitempty"` // "" if no zip was written because there is nothing to put in
	Included []string          `json:"included"`
	Missing  []string          `json:"missing"`  // files that the server wants and that are not there
	Rejected map[string]string `json:"rejected"` // files that it would refuse, with the reason
}

// Complete says whether the zip holds all that the server wants.
func (s *Submission) Complete() bool { return len(s.Missing) == 0 && len(s.Rejected) == 0 }

// Summary says in one line each what the zip holds, what the server still wants, and why files were left out.
func (s *Submission) Summary() []string {
	wanted := len(s.Included) + len(s.Missing) + len(s.Rejected)
	var lines []string
	switch {
	case s.Complete():
		lines = append(lines, fmt.Sprintf("%s: complete, all %d files that the GLUE server wants", s.Path, wanted))
	case s.Path == "":
		lines = append(lines, fmt.Sprintf("no %s: none of the %d files that the GLUE server wants is there and complete", SubmissionFile, wanted))
	default:
		lines = append(lines, fmt.Sprintf("%s: INCOMPLETE, %d of the %d files that the GLUE server wants: %s", s.Path, len(s.Included), wanted, strings.Join(s.Included, ", ")))
	}
	if len(s.Missing) > 0 {
		lines = append(lines, fmt.Sprintf("the server also wants %s: run `glue` for their tasks with the same --out", strings.Join(s.Missing, ", ")))
	}
	for _, split := range submissionSplits() {
		if why, ok := s.Rejected[split.Submission]; ok {
			lines = append(lines, fmt.Sprintf("%s was left out: %s", split.Submission, why))
		}
	}
	return lines
}

// submissionSplit is a split that the server wants predicted.
type submissionSplit struct {
	Split
	task *Task
}

func submissionSplits() []submissionSplit {
	var all []submissionSplit
	for _, t := range tasks {
		for _, s := range t.SplitsOf(Test) {
			all = append(all, submissionSplit{s, t})
		}
	}
	return all
}

// WriteSubmission puts the predictions that are in a folder into its submission.zip, under exactly the server's
// names. Files that are not there are not made up, and files that the server would refuse are left out; the result
// says which. With nothing to put in, no zip is written and an old one is removed. The bytes depend on the predictions only.
func WriteSubmission(ctx context.Context, folder string) (*Submission, error) {
	s := &Submission{Included: []string{}, Missing: []string{}, Rejected: map[string]string{}}
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, split := range submissionSplits() {
		text, err := readAll(ctx, join(folder, split.Submission))
		if errors.Is(err, fs.ErrNotExist) {
			s.Missing = append(s.Missing, split.Submission)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := checkPredictions(split.task, split.Split, text); err != nil {
			s.Rejected[split.Submission] = err.Error()
			continue
		}
		if err := addFile(archive, split.Submission, text); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "glue: %s", SubmissionFile)
		}
		s.Included = append(s.Included, split.Submission)
	}
	if err := archive.Close(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "glue: %s", SubmissionFile)
	}
	path := join(folder, SubmissionFile)
	if len(s.Included) == 0 {
		return s, removeFile(ctx, path)
	}
	s.Path = path
	return s, writeFile(ctx, path, out.Bytes())
}

// addFile adds a file with the oldest time that a zip can hold.
func addFile(archive *zip.Writer, name string, text []byte) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o644)
	file, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return err
}
