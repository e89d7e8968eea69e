package labeling_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rlhf/storage"
)

// reviewer signs in somebody with that role.
func (w *world) reviewer(t testing.TB) *visitor {
	t.Helper()
	if _, err := w.db.CreateLabeler(context.Background(), "rita", storage.RoleReviewer, hash); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(t)
	v.signIn("rita")
	return v
}

type reviewed struct {
	ID          int64
	Completions []struct{ Slot, Text string }
	Rankings    []struct {
		Labeler string
		Ranks   []int
	}
	Consensus []int
	Decision  *struct {
		Ranks          []int
		Note, Reviewer string
	}
	Notes []struct{ Note string }
}

func (v *visitor) review(id int64) (r reviewed) {
	v.t.Helper()
	if err := json.Unmarshal([]byte(v.want("GET", fmt.Sprintf("/api/review/tasks/%d", id), "", 200, `"completions"`)), &r); err != nil {
		v.t.Fatal(err)
	}
	return r
}

// ada and grace rank the first task the same by text and the second by the order shown, which differs: only that one is disputed.
func TestReviewing(t *testing.T) {
	w := newWorld(t, reviews, overlap(2))
	ada, grace := w.visitor(t), w.visitor(t)
	ada.signIn("ada")
	grace.signIn("grace")
	for _, v := range []*visitor{ada, grace} {
		v.rankNext(1, 1, 1, 1)
	}
	ada.rankNext(1, 2, 3, 4)
	grace.rankNext(2, 2, 1, 1)
	ada.want("GET", "/api/review/projects", "", 403, `"code":"role"`)
	rita := w.reviewer(t)
	rita.want("GET", "/api/review/projects", "", 200, `{"projects":[{"id":1,"name":"default"}]}`)
	rita.want("GET", "/api/admin/projects/1/figures", "", 403, `"code":"role"`)
	var list struct {
		Tasks []struct {
			ID           int64
			Prompt       string
			Rankings     int
			Disagreement float64
			Decided      bool
		}
		Total int
	}
	read := func(query string) {
		t.Helper()
		list.Tasks = nil
		if err := json.Unmarshal([]byte(rita.want("GET", "/api/review/projects/1"+query, "", 200, `"tasks"`)), &list); err != nil {
			t.Fatal(err)
		}
	}
	read("")
	if len(list.Tasks) != 2 || list.Total != 2 || !(list.Tasks[0].Disagreement > 0) || list.Tasks[1].Disagreement != 0 || list.Tasks[0].Rankings != 2 || list.Tasks[0].Prompt != reviews[1].prompt {
		t.Fatalf("disputes: %+v", list)
	}
	id := list.Tasks[0].ID
	before := rita.review(id)
	if len(before.Rankings) != 2 || before.Decision != nil || len(before.Consensus) != 4 || before.Completions[0].Slot != "A" || !strings.HasPrefix(before.Rankings[0].Labeler, "labeler-") {
		t.Errorf("review: %+v", before)
	}
	path := fmt.Sprintf("/api/review/tasks/%d/decision", id)
	rita.want("POST", path, `{"ranks":[1,2],"note":""}`, 422, `"code":"ranks"`)
	rita.want("POST", path, `{"ranks":[1,3,4,4]}`, 422, `"code":"ranks"`)
	rita.want("POST", "/api/review/tasks/999/decision", `{"ranks":[1,2]}`, 404, `"code":"not_found"`)
	ada.want("POST", path, `{"ranks":[1,2,3,4],"note":""}`, 403, `"code":"role"`)
	rita.want("POST", path, `{"ranks":[3,1,2,2],"note":"<b>why</b>"}`, 201, `"ranks":[3,1,2,2]`)
	rita.want("POST", path, `{"ranks":[1,2,3,3],"note":"on reflection"}`, 201, `"reviewer":"labeler-`)
	after := rita.review(id)
	if d := after.Decision; d == nil || !slices.Equal(d.Ranks, []int{1, 2, 3, 3}) || d.Note != "on reflection" || len(after.Notes) != 1 || after.Notes[0].Note != "<b>why</b>" {
		t.Errorf("decided: %+v", after)
	}
	if fmt.Sprint(after.Rankings) != fmt.Sprint(before.Rankings) || fmt.Sprint(after.Completions) != fmt.Sprint(before.Completions) {
		t.Errorf("rankings or order have changed: %+v, before %+v", after, before)
	}
	// What is stored are the ranks of the texts, whatever the order shown.
	stored, err := w.db.Review(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	for k, c := range stored.Task.Completions {
		i := slices.IndexFunc(after.Completions, func(x struct{ Slot, Text string }) bool { return x.Text == c.Text })
		if stored.Decision.Ranks[k] != after.Decision.Ranks[i] {
			t.Errorf("%q: stored %d, shown %d", c.Text, stored.Decision.Ranks[k], after.Decision.Ranks[i])
		}
	}
	read("?limit=1")
	if len(list.Tasks) != 1 || !list.Tasks[0].Decided || list.Total != 2 {
		t.Errorf("a page of one: %+v", list)
	}
	read("?skip=5")
	if len(list.Tasks) != 0 {
		t.Errorf("beyond the end: %+v", list)
	}
	rita.want("GET", "/api/review/projects/9", "", 404, `"code":"not_found"`)
	for _, name := range append([]string{"ada", "grace"}, models...) {
		for _, p := range []string{"/api/review/projects/1", fmt.Sprintf("/api/review/tasks/%d", id)} {
			if text := rita.want("GET", p, "", 200, ""); strings.Contains(text, `"`+name) || strings.Contains(text, name+`"`) {
				t.Errorf("%s names %s: %s", p, name, text)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	w := newWorld(t, append(slices.Clone(reviews), review{"who are you", []string{"I'm Claude, made by Anthropic.", "A friend."}}))
	ada := w.visitor(t)
	ada.signIn("ada")
	id := ada.next()
	ada.want("POST", "/api/tasks/"+id+"/skip", `{"reason":"too_hard","comment":"<i>no idea</i>","idempotency_key":"a"}`, 201, "")
	id = ada.next()
	ada.want("POST", "/api/tasks/"+id+"/ranking", `{"ranks":{"A":1,"B":1,"C":1,"D":1},"opened":["A","B","C","D"],"flags":["unsafe","nonsense"],"idempotency_key":"b"}`, 201, "")
	boss := w.visitor(t)
	boss.signIn("boss")
	var out struct {
		Flags []struct {
			Task                           int64
			Kind, Labeler, Reason, Comment string
			At                             *string
		}
		Next string
	}
	if err := json.Unmarshal([]byte(boss.want("GET", "/api/admin/projects/1/flags", "", 200, `"flags"`)), &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range out.Flags {
		got = append(got, fmt.Sprintf("%s %s %s %t", f.Kind, f.Labeler, f.Reason, f.At != nil))
	}
	slices.Sort(got) // the two were made in the same millisecond, perhaps
	want := []string{"flag ada nonsense true", "flag ada unsafe true", "leak  I'm Claude false", "skip ada too_hard true"}
	if len(got) != 4 || got[0] != want[0] || got[1] != want[1] || !strings.HasPrefix(got[2], "leak  ") || !strings.Contains(got[2], "Claude") || got[3] != want[3] || out.Next != "" {
		t.Errorf("got %q, next %q, want %q", got, out.Next, want)
	}
	if last := out.Flags[len(out.Flags)-1]; last.Kind != "leak" || last.Comment != models[0] || last.Task != 3 {
		t.Errorf("the leak stands last and names its model: %+v", last)
	}
	boss.want("GET", "/api/admin/projects/1/flags?after=nonsense", "", 422, `"field":"after"`)
	boss.want("GET", "/api/admin/projects/1/flags?after=leaks-9999", "", 200, `{"flags":[],"next":""}`)
	boss.want("GET", "/api/admin/projects/1/flags?after=said-1-false-1", "", 200, `"kind":"leak"`)
	boss.want("GET", "/api/admin/projects/9/flags", "", 404, `"code":"not_found"`)
	ada.want("GET", "/api/admin/projects/1/flags", "", 403, `"code":"role"`)
}
