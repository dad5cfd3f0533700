// Package squad is the host's half of extractive question answering on SQuAD 1.1 and 2.0 (P. Rajpurkar et al., "SQuAD:
// 100,000+ Questions for Machine Comprehension of Text", 2016, arXiv 1606.05250; "Know What You Don't Know", 2018,
// arXiv 1806.03822): it reads the files, cuts contexts into windows that a model can take, turns the model's numbers
// back into parts of the original text, and measures them as the official scripts do.
package squad

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"elektron/internal/fault"
)

// Version says which rules hold.
type Version int

// The versions. In V2 questions may have no answer in their context.
const (
	V1 Version = 1 // SQuAD 1.1
	V2 Version = 2 // SQuAD 2.0
)

func (v Version) String() string { return map[Version]string{V1: "SQuAD 1.1", V2: "SQuAD 2.0"}[v] }

// Set is a file: questions about contexts.
type Set struct {
	Version   Version
	Name      string   // the file
	Contexts  []string // paragraphs; several questions are about each
	Questions []Question

	Misplaced      int      // answers whose text does not stand at answer_start
	MisplacedNamed []string // the first of them
}

// Question is one with the answers that people gave.
type Question struct {
	ID, Text string
	Context  int      // its place in Set.Contexts
	Answers  []Answer // none if the context holds no answer
}

// Answer is a part of a context.
type Answer struct {
	Text  string
	Start int // in bytes; -1 if the text does not stand where the file says
}

// Answerable says whether the context holds an answer.
func (q *Question) Answerable() bool { return len(q.Answers) > 0 }

// Unplaced says whether none of the answers stands where the file says, so that a model cannot learn the question.
func (q *Question) Unplaced() bool { return q.Answerable() && q.place() < 0 }

// place is the place of the first answer that has one, from which a model learns; else -1.
func (q *Question) place() int {
	for i, a := range q.Answers {
		if a.Start >= 0 {
			return i
		}
	}
	return -1
}

// fileJSON is the layout of the official files. Pointers tell what is missing from what is empty.
type fileJSON struct {
	Data []struct {
		Paragraphs []struct {
			Context *string `json:"context"`
			QAs     []qaJSON
		} `json:"paragraphs"`
	} `json:"data"`
}

type qaJSON struct {
	ID         string       `json:"id"`
	Question   *string      `json:"question"`
	Answers    []answerJSON `json:"answers"`
	Impossible *bool        `json:"is_impossible"`
}

type answerJSON struct {
	Text  string `json:"text"`
	Start *int   `json:"answer_start"`
}

// Read reads a file of a version; name is for messages. An answer whose text does not stand at its answer_start is kept
// without a place and counted. Whatever else is not as in the official files is an error of kind fault.Data that says
// where it is: a question without id, text or answer, an empty context, questions without an answer in V1, no question.
func Read(version Version, name string, in io.Reader) (*Set, error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "squad: %s: cannot be read", name)
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	var file fileJSON
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fault.New(fault.Data, "squad: %s%s: %v; is this a file of %v, complete and unchanged?", name, lineOf(text, err), err, version)
	}
	s := &Set{Version: version, Name: name}
	for i, article := range file.Data {
		for k, paragraph := range article.Paragraphs {
			where := fmt.Sprintf("data[%d].paragraphs[%d]", i, k)
			if paragraph.Context == nil || strings.TrimSpace(*paragraph.Context) == "" {
				return nil, s.malformed(where, "there is no context")
			}
			s.Contexts = append(s.Contexts, *paragraph.Context)
			for n, qa := range paragraph.QAs {
				if err := s.add(fmt.Sprintf("%s.qas[%d]", where, n), &qa); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(s.Questions) == 0 {
		return nil, fault.New(fault.Data, "squad: %s: no questions; is this a file of %v, complete and unchanged?", name, version)
	}
	return s, nil
}

// lineOf gives the line of an error in JSON, as far as it is known.
func lineOf(text []byte, err error) string {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	offset := int64(-1)
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	} else if errors.As(err, &typed) {
		offset = typed.Offset
	}
	if offset < 0 {
		return ""
	}
	offset = min(offset, int64(len(text)))
	return fmt.Sprintf(":%d (byte %d)", 1+bytes.Count(text[:offset], []byte("\n")), offset)
}

func (s *Set) malformed(where, why string) error {
	return fault.New(fault.Data, "squad: %s: %s: %s; is this a file of %v, complete and unchanged?", s.Name, where, why, s.Version)
}

// add takes a question about the latest context.
func (s *Set) add(where string, qa *qaJSON) error {
	q := Question{ID: qa.ID, Context: len(s.Contexts) - 1}
	if q.ID == "" {
		return s.malformed(where, "the question has no id")
	}
	where += " (id " + shown(q.ID) + ")"
	if qa.Question == nil || strings.TrimSpace(*qa.Question) == "" {
		return s.malformed(where, "the question has no text")
	}
	q.Text = *qa.Question
	impossible := len(qa.Answers) == 0
	if qa.Impossible != nil && *qa.Impossible != impossible {
		return s.malformed(where, fmt.Sprintf("is_impossible is %v, but there are %d answers", *qa.Impossible, len(qa.Answers)))
	}
	if impossible && s.Version == V1 {
		return s.malformed(where, "the question has no answer, which only SQuAD 2.0 knows")
	}
	for i, a := range qa.Answers {
		if a.Start == nil {
			return s.malformed(where, fmt.Sprintf("answers[%d] has no answer_start", i))
		}
		q.Answers = append(q.Answers, s.answer(where, a.Text, *a.Start))
	}
	s.Questions = append(s.Questions, q)
	return nil
}

// shownAnswers is how many misplaced answers are named.
const shownAnswers = 5

// answer places an answer in the latest context. The files count code points.
func (s *Set) answer(where, text string, start int) Answer {
	context := s.Contexts[len(s.Contexts)-1]
	place := byteOf(context, start)
	if text != "" && place >= 0 && strings.HasPrefix(context[place:], text) {
		return Answer{text, place}
	}
	if s.Misplaced++; len(s.MisplacedNamed) < shownAnswers {
		s.MisplacedNamed = append(s.MisplacedNamed, fmt.Sprintf("%s: %s at %d", where, shown(text), start))
	}
	return Answer{text, -1}
}

// byteOf is the byte at which code point n begins, or the text's length behind the last one; -1 if there is none.
func byteOf(text string, n int) int {
	place := 0
	for ; n > 0 && place < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[place:])
		place += size
	}
	if n != 0 {
		return -1
	}
	return place
}

// Unique gives an error of kind fault.Data if two questions have one id, by which predictions are known.
func (s *Set) Unique() error {
	seen := make(map[string]bool, len(s.Questions))
	for _, q := range s.Questions {
		if seen[q.ID] {
			return fault.New(fault.Data, "squad: %s: id %s is there twice; predictions are told apart by it", s.Name, shown(q.ID))
		}
		seen[q.ID] = true
	}
	return nil
}

// Warnings says in one sentence each what a user should know about the file. A sound one gives none.
func (s *Set) Warnings() []string {
	var lines []string
	if s.Misplaced > 0 {
		lines = append(lines, fmt.Sprintf("%s: the text of %d answers does not stand at its answer_start; they count in the metrics, but nothing is learnt from them (%s)",
			s.Name, s.Misplaced, strings.Join(s.MisplacedNamed, "; ")))
	}
	if s.Version == V2 && !s.anyImpossible() {
		lines = append(lines, fmt.Sprintf("%s: every question has an answer; is this a file of %v?", s.Name, s.Version))
	}
	return lines
}

func (s *Set) anyImpossible() bool {
	for i := range s.Questions {
		if !s.Questions[i].Answerable() {
			return true
		}
	}
	return false
}

// shown is a text of a file, cut to a length that a message can bear.
func shown(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
