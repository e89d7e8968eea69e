package labeling

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"rlhf/storage"
)

// answerRefusals are what the API says to the errors of answering a task.
var answerRefusals = []struct {
	err     error
	status  int
	code    string
	message string // "" for the error's own words
	field   string
}{
	{storage.ErrHolding, http.StatusConflict, "holding", "You have two tasks in hand already: finish one first.", "holding"},
	{storage.ErrRevision, http.StatusConflict, "revision", "You have answered this task already, perhaps in another window.", "revision"},
	{storage.ErrTooLate, http.StatusConflict, "too_late", "Only your last ten answers can be changed.", ""},
	{storage.ErrKey, http.StatusUnprocessableEntity, "key", "This idempotency key belongs to another answer.", "idempotency_key"},
	{storage.ErrUnopened, http.StatusUnprocessableEntity, "opened", "Read every response to its end first.", "opened"},
	{storage.ErrAnswers, http.StatusUnprocessableEntity, "answers", "", "ratings"},
	{storage.ErrRanks, http.StatusUnprocessableEntity, "ranks", "", "ranks"},
}

// slot returns the letter of the i-th completion shown.
func slot(i int) string { return string(rune('A' + i)) }

// slots returns values under the letters of the completions shown.
func slots[T any](values []T) map[string]T {
	out := make(map[string]T, len(values))
	for i, v := range values {
		out[slot(i)] = v
	}
	return out
}

// rankingJSON is a ranking as a labeler sends it.
type rankingJSON struct {
	Ranks          map[string]int            `json:"ranks" doc:"by slot; 1 is best, equal ranks are a tie"`
	Opened         []string                  `json:"opened" maxItems:"9" doc:"slots of the responses that were read through"`
	Ratings        map[string]map[string]int `json:"ratings,omitempty" doc:"by slot: overall from 1 to 7, and 0 or 1 by question"`
	Confidence     *int                      `json:"confidence,omitempty" nullable:"true" minimum:"1" maximum:"5"`
	Flags          []string                  `json:"flags,omitempty" maxItems:"6" enum:"nonsense,unsafe,too_hard,all_bad,personal_data,other"`
	Comment        string                    `json:"comment,omitempty" maxLength:"20000"`
	ActiveMS       int64                     `json:"active_ms,omitempty" minimum:"0" maximum:"2147483647"`
	WallMS         int64                     `json:"wall_ms,omitempty" minimum:"0" maximum:"2147483647000"`
	IdempotencyKey string                    `json:"idempotency_key" minLength:"1" maxLength:"200"`
	Revision       int                       `json:"revision,omitempty" minimum:"0" doc:"of the answer it replaces; 0: a first answer"`
}

type rankedJSON struct {
	Accepted bool          `json:"accepted"`
	Extra    bool          `json:"extra" doc:"others had ranked it often enough; it is kept"`
	Revision int           `json:"revision"`
	Feedback *feedbackJSON `json:"feedback" doc:"after training tasks"`
	Standing standingJSON  `json:"standing"`
}

// feedbackJSON tells how a training task was meant.
type feedbackJSON struct {
	Right    int            `json:"right"`
	Pairs    int            `json:"pairs"`
	Ranks    map[string]int `json:"ranks"`
	NoteHTML string         `json:"note_html"`
}

type rankIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body rankingJSON
}

func unprocessable(code, field, format string, args ...any) error {
	return refusal{http.StatusUnprocessableEntity, code, fmt.Sprintf(format, args...), field}
}

// submission returns what was sent in the order of the slots. Whether it fits the task is the store's to say.
func (in rankIn) submission(labeler int64) (storage.Submission, error) {
	b := in.Body
	s := storage.Submission{LabelerID: labeler, PublicID: in.ID, Ranks: make([]int, len(b.Ranks)), Confidence: b.Confidence, Flags: b.Flags, Comment: b.Comment,
		ActiveMS: b.ActiveMS, WallMS: b.WallMS, Key: b.IdempotencyKey, Revision: b.Revision}
	for i := range s.Ranks {
		r, ok := b.Ranks[slot(i)]
		if !ok {
			return s, unprocessable("ranks", "ranks", "The ranks lack completion %s or name one that is not there.", slot(i))
		}
		s.Ranks[i] = r
		if !slices.Contains(b.Opened, slot(i)) {
			s.Unopened = append(s.Unopened, i)
		}
	}
	for _, o := range b.Opened {
		if _, ok := b.Ranks[o]; !ok {
			return s, unprocessable("opened", "opened", "There is no response %q.", o)
		}
	}
	if len(b.Ratings) == 0 {
		return s, nil
	}
	for i := range s.Ranks {
		of, ok := b.Ratings[slot(i)]
		if !ok || len(b.Ratings) != len(s.Ranks) {
			return s, unprocessable("answers", "ratings", "The ratings lack response %s or name one that is not there.", slot(i))
		}
		s.Ratings = append(s.Ratings, of)
	}
	return s, nil
}

func (s *Server) rank(ctx context.Context, in *rankIn) (*body[rankedJSON], error) {
	sub, err := in.submission(me(ctx).ID)
	if err != nil {
		return nil, err
	}
	got, err := s.store.Submit(ctx, sub)
	if err != nil {
		return nil, err
	}
	out := rankedJSON{Accepted: true, Extra: got.Extra, Revision: got.Revision, Standing: newStandingJSON(got.Standing)}
	if f := got.Feedback; f != nil {
		out.Feedback = &feedbackJSON{f.Right, f.Pairs, slots(f.Ranks), s.html(f.Note)}
	}
	return answer(out)
}

type skipIn struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Reason         string `json:"reason" enum:"nonsense,unsafe,too_hard,all_bad,personal_data,other"`
		Comment        string `json:"comment,omitempty" maxLength:"20000"`
		ActiveMS       int64  `json:"active_ms,omitempty" minimum:"0" maximum:"2147483647"`
		WallMS         int64  `json:"wall_ms,omitempty" minimum:"0" maximum:"2147483647000"`
		IdempotencyKey string `json:"idempotency_key" minLength:"1" maxLength:"200"`
		Revision       int    `json:"revision,omitempty" minimum:"0" doc:"of the answer it replaces; 0: a first answer"`
	}
}

type skippedJSON struct {
	Standing standingJSON `json:"standing"`
	Revision int          `json:"revision"`
}

func (s *Server) skip(ctx context.Context, in *skipIn) (*body[skippedJSON], error) {
	b := in.Body
	got, err := s.store.Skip(ctx, storage.Skip{LabelerID: me(ctx).ID, PublicID: in.ID, Reason: b.Reason, Comment: b.Comment, ActiveMS: b.ActiveMS, WallMS: b.WallMS,
		Key: b.IdempotencyKey, Revision: b.Revision})
	if err != nil {
		return nil, err
	}
	return answer(skippedJSON{newStandingJSON(got.Standing), got.Revision})
}

type recentJSON struct {
	Tasks []recentTaskJSON `json:"tasks"`
}

type recentTaskJSON struct {
	ID       string      `json:"id"`
	Kind     string      `json:"kind" enum:"training,task"`
	Prompt   string      `json:"prompt" doc:"its beginning"`
	At       string      `json:"at" format:"date-time"`
	Revision int         `json:"revision"`
	Answer   *answerJSON `json:"answer"`
}

// recentPrompt is how many characters of a prompt stand in the list of the last answers.
const recentPrompt = 200

func (s *Server) recent(ctx context.Context, _ *struct{}) (*body[recentJSON], error) {
	list, err := s.store.Recent(ctx, me(ctx).ID)
	if err != nil {
		return nil, err
	}
	out := recentJSON{[]recentTaskJSON{}}
	for _, w := range list {
		prompt := []rune(w.Prompt)
		out.Tasks = append(out.Tasks, recentTaskJSON{ID: w.PublicID, Kind: kindJSON(w.Kind), Prompt: string(prompt[:min(len(prompt), recentPrompt)]),
			At: w.Answer.At.UTC().Format(timeFormat), Revision: w.Answer.Revision, Answer: newAnswerJSON(w.Answer)})
	}
	return answer(out)
}
