package exchange

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"
	"strings"

	"rlhf/internal/dataset"
	"rlhf/storage"
)

// Importing says how a file comes in.
type Importing struct {
	Project storage.Project
	Read    dataset.Options // Report is set here
	Path    string          // a file or a directory, read twice
	Name    string          // of the file for people; "" is Path
	Again   bool            // bring in rankings once more that were brought in before

	// of tasks
	Kind     string // "" is storage.KindNormal; the ranks of a file of rankings become the reference of any other kind
	Overlap  int    // rankings wanted of a normal task; 0 is the project's
	Priority int
}

// Database is what data goes into and comes out of; *storage.DB is one.
type Database interface {
	View(ctx context.Context, f func(v *storage.View) error) error
	BeginImport(ctx context.Context, im storage.Import, again bool) (storage.Import, error)
	KeepRankings(ctx context.Context, im *storage.Import, rankings []storage.Ranking) error
	KeepTasks(ctx context.Context, im *storage.Import, tasks []storage.Task) error
}

// BadFile is the error of a file that cannot be brought in as it is; nothing of it is stored.
type BadFile struct{ Err error }

func (e *BadFile) Error() string { return e.Err.Error() }

func (e *BadFile) Unwrap() error { return e.Err }

// Imported is what an import came to.
type Imported struct {
	Tasks    int             `json:"tasks"`    // new ones
	There    int             `json:"there"`    // tasks that the project had
	Rankings int             `json:"rankings"` // new ones
	Extra    int             `json:"extra"`    // of these, beyond what is wanted of their tasks
	Skipped  int             `json:"skipped"`  // records that could not be read or held
	Reasons  []string        `json:"reasons,omitempty"`
	Resumed  int             `json:"resumed,omitempty"` // records that an interrupted import had brought in before
	Lost     []Loss          `json:"lost"`              // what the database does not hold of the others
	Report   *dataset.Report `json:"-"`                 // of reading
}

// Interrupted is the error of an import that ended before its time.
type Interrupted struct {
	Name          string
	Kept, Records int
	Err           error
}

func (e *Interrupted) Error() string {
	return fmt.Sprintf("%s: %d of %d records are in the database, and the same import goes on from there: %v", e.Name, e.Kept, e.Records, e.Err)
}

func (e *Interrupted) Unwrap() error { return e.Err }

// batch is how many records come in at once; labelers wait for no more than that.
const batch = 25

const maxReasons = 5

// source reads the records of a file as the database takes them, each time from the first on.
type source[R, T any] struct {
	in     *Importing
	read   func(dataset.Options) iter.Seq2[R, error]
	stored func(R) (kept T, lost []string, err error)

	report  *dataset.Report
	lost    losses
	skipped int
	reasons []string
}

// records yields what can be stored. A record that cannot is an error, or is counted if the options skip bad ones.
func (s *source[R, T]) records(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		s.report, s.lost, s.skipped, s.reasons = &dataset.Report{}, losses{}, 0, nil
		o := s.in.Read
		o.Report = s.report
		n := 0
		for r, err := range s.read(o) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(zero, err)
				return
			}
			n++
			v, lost, err := s.stored(r)
			if err != nil {
				err = fmt.Errorf("%s: record %d: %w", s.in.Name, n, err)
				if !o.SkipBad {
					yield(zero, err)
					return
				}
				s.skipped++
				if len(s.reasons) < maxReasons {
					s.reasons = append(s.reasons, err.Error())
				}
				continue
			}
			for _, what := range lost {
				s.lost[what]++
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// survey reads the file once: whatever is wrong with it is found before anything is stored.
func (s *source[R, T]) survey(ctx context.Context) (sum []byte, records int, err error) {
	h := sha256.New()
	for v, err := range s.records(ctx) {
		if err != nil {
			return nil, 0, err
		}
		if err := digest(h, v); err != nil {
			return nil, 0, err
		}
		records++
	}
	return h.Sum(nil), records, nil
}

// named are statements in which the file is called by its name for people.
func (in *Importing) named(list []string) (out []string) {
	for _, text := range list {
		out = append(out, strings.ReplaceAll(text, in.Path, in.Name))
	}
	return out
}

// renamed is an error in which the file is called by its name for people.
func (in *Importing) renamed(err error) error {
	if text := err.Error(); in.Name != in.Path && strings.Contains(text, in.Path) {
		return errors.New(strings.ReplaceAll(text, in.Path, in.Name))
	}
	return err
}

func digest(h hash.Hash, v any) error { return json.NewEncoder(h).Encode(v) }

// bring reads the file again and stores it, a batch in each transaction.
func (s *source[R, T]) bring(ctx context.Context, db Database, what string, keep func(context.Context, *storage.Import, []T) error) (out Imported, err error) {
	if s.in.Name == "" {
		s.in.Name = s.in.Path
	}
	sum, records, err := s.survey(ctx)
	if err != nil && ctx.Err() == nil {
		err = &BadFile{s.in.renamed(err)}
	}
	if err != nil {
		return out, err
	}
	out = Imported{Skipped: s.skipped + s.report.Skipped, Reasons: append(s.in.named(s.report.Reasons), s.reasons...), Lost: s.lost.list(), Report: s.report}
	if records == 0 {
		return out, nil
	}
	im, err := db.BeginImport(ctx, storage.Import{Project: s.in.Project.ID, What: what, Name: s.in.Name, Digest: sum, Records: records}, s.in.Again)
	if err != nil {
		return out, err
	}
	out.Resumed = im.Kept
	before := im.Added
	if err := s.store(ctx, &im, sum, keep); err != nil {
		return out, &Interrupted{s.in.Name, im.Kept, records, err}
	}
	out.Tasks, out.Rankings, out.Extra = im.Tasks-before.Tasks, im.Rankings-before.Rankings, im.Extra
	if what == storage.ImportTasks {
		out.There = records - out.Resumed - out.Tasks
	}
	return out, nil
}

func (s *source[R, T]) store(ctx context.Context, im *storage.Import, sum []byte, keep func(context.Context, *storage.Import, []T) error) error {
	h := sha256.New()
	var list []T
	n := 0
	for v, err := range s.records(ctx) {
		if err != nil {
			return err
		}
		if err := digest(h, v); err != nil {
			return err
		}
		if n++; n <= im.Kept {
			continue
		}
		if n == im.Records && string(h.Sum(nil)) != string(sum) || n > im.Records {
			return errors.New("the file changed while it was read")
		}
		if list = append(list, v); len(list) == batch || n == im.Records {
			if err := keep(ctx, im, list); err != nil {
				return err
			}
			list = nil
		}
	}
	if im.Kept < im.Records {
		return errors.New("the file changed while it was read")
	}
	return nil
}

// Rankings brings in rankings made elsewhere. The file is read twice: whatever is wrong with it is found before anything
// is stored. What is stored is stored in many transactions, so that labelers go on meanwhile; an *Interrupted says how
// much is there, and the same import goes on from there.
func Rankings(ctx context.Context, db Database, in Importing) (Imported, error) {
	s := &source[dataset.Ranking, storage.Ranking]{in: &in, stored: Stored}
	s.read = func(o dataset.Options) iter.Seq2[dataset.Ranking, error] {
		return dataset.Compared(dataset.Rankings(o, in.Path), o.Report)
	}
	return s.bring(ctx, db, storage.ImportRankings, db.KeepRankings)
}

// lostMore is what is lost of a task with more completions than its project shows.
const lostMore = "completions beyond the project's K"

// Tasks brings in what is to be ranked, as Rankings does rankings. Of a file of rankings it takes the prompts and
// completions, each once. A task that the project has already is not added again.
func Tasks(ctx context.Context, db Database, in Importing) (Imported, error) {
	if name := in.Read.Format; name != "" && name != "auto" && name != "ai2" {
		if _, err := dataset.Named(name, dataset.KindRankings); err != nil {
			return Imported{}, err
		}
	}
	s := &source[dataset.Group, storage.Task]{in: &in, stored: in.task}
	s.read = func(o dataset.Options) iter.Seq2[dataset.Group, error] { return dataset.Groups(o, in.Path) }
	in.Again = true // whatever is there is not added again
	return s.bring(ctx, db, storage.ImportTasks, db.KeepTasks)
}

// task turns what is to be ranked into a task of the project.
func (in Importing) task(g dataset.Group) (t storage.Task, lost []string, err error) {
	k := in.Project.Settings.K
	if n := len(g.Completions); k > 0 && n > k {
		g.Completions, lost = g.Completions[:k], append(lost, lostMore)
		if g.Ranks != nil {
			g.Ranks = dense(g.Ranks[:k])
		}
	}
	least, most := storage.MinK, storage.MaxK
	if k > 0 {
		least, most = k, k
	}
	if n := len(g.Completions); n < least || n > most {
		want := fmt.Sprintf("%d to %d", least, most)
		if k > 0 {
			want = fmt.Sprintf("the project's %d", k)
		}
		return t, nil, fmt.Errorf("prompt %.40q: %d completions, expected %s", g.Prompt, n, want)
	}
	t = storage.Task{Prompt: g.Prompt, System: g.System, Messages: messages(g.Messages), Tokens: g.Tokens, Project: in.Project.ID, Kind: cmp.Or(in.Kind, storage.KindNormal),
		Priority: in.Priority}
	if t.Kind == storage.KindNormal {
		t.Overlap = cmp.Or(in.Overlap, in.Project.Settings.Overlap)
	} else if g.Ranks != nil {
		t.Reference = &storage.Reference{Ranks: g.Ranks, Note: g.Comment}
	}
	for _, c := range g.Completions {
		kept, whole := storedCompletion(c)
		if !whole {
			lost = append(lost, lostSampling)
		}
		t.Completions = append(t.Completions, kept)
	}
	slices.Sort(lost)
	return t, slices.Compact(lost), nil
}

// dense makes ranks 1 to m without a gap.
func dense(ranks []int) (out []int) {
	distinct := slices.Compact(slices.Sorted(slices.Values(ranks)))
	for _, r := range ranks {
		at, _ := slices.BinarySearch(distinct, r)
		out = append(out, at+1)
	}
	return out
}
