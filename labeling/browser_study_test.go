package labeling_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rlhf/labeling"
	"rlhf/storage"
)

// A judge is a simulated labeler of a study.
type judge struct {
	name  string
	noise float64 // standard deviation, beside the models' steps of 0.5
	daily int     // rankings
	hasty bool    // takes the order shown, without reading
}

var judges = []judge{{"ada", .3, 12, false}, {"grace", .4, 11, false}, {"katherine", .5, 9, false}, {"margaret", .6, 8, false}, {"dorothy", .8, 7, false}, {"annie", .7, 6, false}, {"王芳", .4, 8, false}, {"xavier", 0, 3, true}}

// studied are the models of a study, the weakest first.
var studied = []string{"gpt2-base", "gpt2-sft", "gpt2-ppo", "gpt2-ppo-ptx"}

// newStudy returns a world in which eight labelers have ranked tasks of four models over a fortnight, three for each task.
func newStudy(t testing.TB, tasks int) *world {
	t.Helper()
	w := newWorld(t, nil)
	draw := rand.New(rand.NewPCG(6, 6))
	var clock atomic.Int64
	w.db.Now = func() time.Time { return time.UnixMilli(clock.Load()) }
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	clock.Store(start.UnixMilli())
	project, err := w.db.Project(t.Context(), storage.DefaultProject)
	if err != nil {
		t.Fatal(err)
	}
	project.Name, project.Description = "Film reviews", "Four models, three rankings of each prompt."
	if err := w.db.SetProject(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	var list []storage.Task
	for i := range tasks {
		task := storage.Task{Prompt: fmt.Sprintf("Review %d: the film opens with a", i+1), Overlap: 3}
		for m, model := range studied {
			words := strings.Repeat(" slow and tender look at a family", 1+m/2+draw.IntN(2))
			task.Completions = append(task.Completions, storage.Completion{Model: model, Text: fmt.Sprintf("%s, in take %d of %d .", words, m+1, len(studied))})
		}
		list = append(list, task)
	}
	if err := w.db.AddTasks(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	clients := make([]ranker, len(judges))
	for i, j := range judges {
		if i > 1 { // ada and grace are there
			if _, err := w.db.CreateLabeler(t.Context(), j.name, storage.RoleLabeler, hash); err != nil {
				t.Fatal(err)
			}
		}
		clients[i] = labelingClient(t, w, j.name)
	}
	for day := 0; day < 14; day++ {
		for i, j := range judges {
			at := start.AddDate(0, 0, day)
			for range j.daily*tasks/300 + draw.IntN(1+j.daily/2) {
				clock.Store(at.UnixMilli())
				task := clients[i].next(t)
				if task == nil {
					break
				}
				spent := time.Duration(25+draw.IntN(60)) * time.Second
				if j.hasty {
					spent = 900 * time.Millisecond
				}
				at = at.Add(spent + 5*time.Second)
				clock.Store(at.UnixMilli())
				if err := clients[i].Rank(t.Context(), task.ID, j.ranks(task, draw), spent.Milliseconds()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return w
}

// ranks orders by the models' strength with noise; what is close is tied.
func (j judge) ranks(task *labeling.Task, draw *rand.Rand) []int {
	scores := make([]float64, len(task.Completions))
	for i, text := range task.Completions {
		var take int
		fmt.Sscanf(text[strings.LastIndex(text, "take"):], "take %d", &take)
		scores[i] = float64(int(2*(.5*float64(take)+j.noise*draw.NormFloat64()))) / 2
		if j.hasty {
			scores[i] = float64(-i)
		}
	}
	ranks := make([]int, len(scores))
	for i := range scores {
		better := map[float64]bool{}
		for _, s := range scores {
			if s > scores[i] {
				better[s] = true
			}
		}
		ranks[i] = 1 + len(better)
	}
	return ranks
}

// testAdminPicture writes the README's picture of the figures into the directory that RLHF_PICTURES names:
//
//	RLHF_PICTURES=../docs go test -run TestBrowserAdmin/picture ./labeling
func testAdminPicture(t *testing.T, browser context.Context) {
	w := newStudy(t, 200)
	p := openTab(t, browser, w.URL, 1440, 1720)
	p.prefer("prefers-color-scheme", "light", "prefers-reduced-motion", "reduce")
	p.enterAs("boss", "/admin/projects/1/figures")
	p.wait(`document.querySelector(".diamond") && document.querySelector("#live.up")`)
	image, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("RLHF_PICTURES"), "admin.png"), image, 0o644); err != nil {
		t.Fatal(err)
	}
}
