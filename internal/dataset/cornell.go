package dataset

import (
	"bytes"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
)

// The names of the corpus's files, which a suffix may follow.
const (
	cornellLines         = "movie_lines"
	cornellConversations = "movie_conversations"
)

// cornellMark stands between the fields of a line.
var cornellMark = []byte("+++$+++")

func cornellFormats() []Format {
	return []Format{
		convoKitFormat(),
		{
			Name: "cornell", About: "Cornell Movie-Dialogs: the directory with movie_lines.txt and movie_conversations.txt, or both files", Extensions: []string{".txt"},
			Detect:         func(s Sample) bool { return isCornell(s.Path, cornellConversations) || isCornell(s.Path, cornellLines) },
			Demonstrations: readCornell, Uses: []string{"talk"},
		},
		{
			Name: "cornell-me", About: "its older form, one file: a line of dialogue after M or E, conversations parted by E alone, === or a blank line", Extensions: []string{".txt", ".conv"},
			Detect:         detectLetters,
			Demonstrations: readLetters, Uses: []string{"talk"},
		},
	}
}

func isCornell(path, name string) bool {
	return strings.HasPrefix(filepath.Base(path), name)
}

// pairCornell puts the files of the corpus together, those of one directory first. A directory that holds both files is
// the corpus, whose other files are ignored.
func pairCornell(r *Report, files []*File) (out []*File) {
	lines := map[string]*File{} // by directory
	for _, f := range files {
		if isCornell(f.Path, cornellLines) {
			lines[filepath.Dir(f.Path)] = f
		}
	}
	paired, whole := map[*File]bool{}, map[string]bool{}
	for _, f := range files {
		dir := filepath.Dir(f.Path)
		if !isCornell(f.Path, cornellConversations) {
			continue
		}
		with := lines[dir]
		if with == nil && len(lines) == 1 {
			for _, with = range lines {
			}
		}
		if with != nil {
			f.Beside, paired[with] = with.Path, true
			whole[dir] = filepath.Dir(with.Path) == dir
		}
	}
	for _, f := range files {
		switch {
		case paired[f]:
		case f.listed && whole[filepath.Dir(f.Path)] && f.Beside == "":
			r.ignore(f.Path)
		default:
			out = append(out, f)
		}
	}
	return out
}

// utterance is a line of movie_lines.
type utterance struct{ speaker, text string }

// readCornell yields the exchanges of the corpus, whose conversations are lists of line ids. It holds the text of all
// lines, which stand in no order that a stream could use.
func readCornell(o Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		if f.Beside == "" {
			missing := cornellLines
			if isCornell(f.Path, cornellLines) {
				missing = cornellConversations
			}
			yield(Demonstration{}, fmt.Errorf("%s: found one file of two: name %s.txt as well, or the directory of both", f.Path, missing))
			return
		}
		index, ok := o.cornellIndex(f.Beside, func(err error) bool { return yield(Demonstration{}, err) })
		if !ok {
			return
		}
		for line, err := range f.lines() {
			var list []Demonstration
			if err == nil {
				if len(bytes.TrimSpace(line.raw)) == 0 {
					continue
				}
				if list, err = o.cornellConversation(index, line, f); err != nil {
					err = f.bad(line.line, err)
				}
			}
			if err != nil && !yield(Demonstration{}, err) {
				return
			}
			for _, d := range list {
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// cornellIndex reads movie_lines by id. It reports whether reading goes on.
func (o Options) cornellIndex(path string, fail func(error) bool) (map[string]utterance, bool) {
	f := &File{Path: path}
	defer f.Close()
	index := map[string]utterance{}
	speakers := map[string]string{} // one string for all of a speaker's lines
	for line, err := range f.lines() {
		raw := line.raw
		if err == nil && len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		parts := bytes.SplitN(raw, cornellMark, 5)
		if err == nil && len(parts) < 5 {
			err = f.bad(line.line, fmt.Errorf("found %d fields, expected 5 with +++$+++ between them: %s", len(parts), short(raw)))
		}
		if err != nil {
			if !fail(err) {
				return nil, false
			}
			continue
		}
		id, who := string(bytes.TrimSpace(parts[0])), speakers[string(bytes.TrimSpace(parts[1]))]
		if who == "" {
			who = string(bytes.TrimSpace(parts[1]))
			speakers[who] = who
		}
		if _, twice := index[id]; twice {
			o.Report.note("line ids that stand twice, of which the first counts", 1, f, line.line)
			continue
		}
		index[id] = utterance{who, clean(o.latin1(parts[4], f, line.line))}
	}
	return index, true
}

// cornellConversation makes a line of movie_conversations into demonstrations, which belong to its film.
func (o Options) cornellConversation(index map[string]utterance, line record, f *File) ([]Demonstration, error) {
	parts := bytes.SplitN(line.raw, cornellMark, 4)
	if len(parts) < 4 {
		return nil, fmt.Errorf("found %d fields, expected 4 with +++$+++ between them: %s", len(parts), short(line.raw))
	}
	list := string(bytes.TrimSpace(parts[3]))
	inner, open := strings.CutPrefix(list, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !open || !closed {
		return nil, fmt.Errorf("found %s, expected a list of line ids like ['L194', 'L195']", short([]byte(list)))
	}
	var turns []turn
	for id := range strings.SplitSeq(inner, ",") {
		id = strings.Trim(id, ` '"`)
		if id == "" {
			return nil, fmt.Errorf("found an empty line id in %s", short([]byte(list)))
		}
		u, ok := index[id]
		switch {
		case !ok:
			o.Report.note("line ids that movie_lines does not have", 1, f, line.line)
		case u.text == "":
			o.Report.note("lines without text in conversations", 1, f, line.line)
		}
		turns = append(turns, turn(u))
	}
	return o.demonstrations(turns, string(bytes.TrimSpace(parts[2])), f, line.line), nil
}

// letter returns what a line of the older form is: "M" or "E" with the text after it, "end" of a conversation, or "" for any other.
func letter(raw []byte) (kind string, text []byte) {
	raw = bytes.TrimRight(raw, " \t\r")
	switch {
	case len(raw) == 0, bytes.Equal(raw, []byte("E")), len(bytes.Trim(raw, "=")) == 0:
		return "end", nil
	case bytes.Equal(raw, []byte("M")):
		return "M", nil
	case raw[0] == 'M' && (raw[1] == ' ' || raw[1] == '\t'), raw[0] == 'E' && (raw[1] == ' ' || raw[1] == '\t'):
		return string(raw[:1]), raw[2:]
	}
	return "", nil
}

// detectLetters reports whether each of the first lines is one of the older form, and some have text.
func detectLetters(s Sample) bool {
	lines := bytes.Split(s.Raw, []byte{'\n'})
	if len(s.Raw) == Window {
		lines = lines[:len(lines)-1]
	}
	texts := 0
	for _, line := range lines[:min(len(lines), 100)] {
		kind, text := letter(line)
		if kind == "" {
			return false
		}
		if len(text) > 0 {
			texts++
		}
	}
	return texts > 1
}

// maxTalk is the longest conversation, in lines, where one must be held whole.
const maxTalk = 1 << 20

// readLetters yields the exchanges of the older form. Where a conversation has lines of both letters they are its two
// speakers; where it has only one, the lines are by turns.
func readLetters(o Options, f *File) iter.Seq2[Demonstration, error] {
	return func(yield func(Demonstration, error) bool) {
		var turns []turn
		begin := 1
		flush := func() bool {
			for _, d := range o.demonstrations(bySpeaker(turns), "", f, begin) {
				if !yield(d, nil) {
					return false
				}
			}
			turns = turns[:0]
			return true
		}
		for line, err := range f.lines() {
			kind, text := letter(line.raw)
			if err == nil && kind == "" {
				err = f.bad(line.line, fmt.Errorf("found %s, expected M or E and a space before the text, or E alone, === or a blank line between conversations", short(line.raw)))
			}
			if err == nil && len(turns) == maxTalk {
				err = f.fatal(begin, fmt.Errorf("found a conversation of more than %d lines, expected E alone, === or a blank line after it", maxTalk))
			}
			if err != nil {
				if !yield(Demonstration{}, err) {
					return
				}
				continue
			}
			if len(turns) == 0 {
				begin = line.line
			}
			if kind != "end" {
				turns = append(turns, turn{kind, clean(o.latin1(text, f, line.line))})
			}
			switch long := o.Talk.As == "" || o.Talk.As == "pairs"; {
			case kind != "end" && (!long || len(turns) < 1000):
			case kind == "end":
				if !flush() {
					return
				}
			default: // the pairs of a file without ends need only the line before
				last := turns[len(turns)-1]
				if !flush() {
					return
				}
				turns, begin = append(turns, last), line.line
			}
		}
		flush()
	}
}

// bySpeaker removes the speakers of a conversation that names only one.
func bySpeaker(turns []turn) []turn {
	for _, t := range turns {
		if t.speaker != turns[0].speaker {
			return turns
		}
	}
	for i := range turns {
		turns[i].speaker = ""
	}
	return turns
}
