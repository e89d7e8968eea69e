package labeling_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long a condition of the page may take to come true, and stride how long to wait between looks.
const (
	patience = 15 * time.Second
	stride   = 15 * time.Millisecond
)

// TestBrowser uses the pages as people would, against the real server and its database. All of it shares one browser.
func TestBrowser(t *testing.T) {
	browser := startBrowser(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, context.Context)
	}{
		{"sign-in", testSignIn},
		{"mouse", testMouse},
		{"touch", testTouch},
		{"touch, side by side", testTouchStrip},
		{"buttons", testButtons},
		{"keyboard alone", testKeyboard},
		{"letters off", testLettersOff},
		{"nine completions", testNine},
		{"rating", testRating},
		{"reading", testReading},
		{"side by side", testSideBySide},
		{"conversation", testConversation},
		{"draft", testDraft},
		{"offline", testOffline},
		{"restart", testRestart},
		{"two tabs", testTwoTabs},
		{"another device", testAnotherDevice},
		{"next task ready", testNextTaskReady},
		{"skip and flag", testSkipAndFlag},
		{"last answers", testLastAnswers},
		{"training and guidelines", testTraining},
		{"one-time link", testEnter},
		{"differences", testDifferences},
		{"trouble", testTrouble},
		{"session ends", testSessionEnds},
		{"all done", testAllDone},
		{"announcements", testAnnouncements},
		{"hostile text", testHostileText},
		{"focus in sight", testFocusInSight},
		{"look", testLook},
		{"look of a labeler's page", testLabelStates},
		{"language and theme", testLanguageAndTheme},
		{"ranking operations", testRankingOperations},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, browser) })
	}
	if os.Getenv("RLHF_PICTURES") != "" {
		t.Run("pictures", func(t *testing.T) { testPictures(t, browser) })
	}
}

// startBrowser starts one headless browser for the test. Without a browser the test is skipped, or fails where a browser
// has been promised: with CI=true or RLHF_BROWSER=required.
func startBrowser(t *testing.T) context.Context {
	path := findBrowser()
	if path == "" {
		const missing = "no chromium, chromium-browser, google-chrome or chrome in PATH, and CHROME is not set: the browser tests need one"
		if os.Getenv("CI") == "true" || os.Getenv("RLHF_BROWSER") == "required" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		stop()
		stopAllocator()
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser
}

func findBrowser() string {
	for _, name := range []string{os.Getenv("CHROME"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	return ""
}

// A tab is one page in a browser profile of its own, used step by step; a step that fails ends the test.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // address of the server under test

	mu      sync.Mutex
	console []string
}

// openTab opens an empty tab of the given size in pixels, with its own cookies and storage.
func openTab(t *testing.T, browser context.Context, base string, width, height int64, options ...chromedp.EmulateViewportOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return newTab(t, ctx, base, width, height, options...)
}

// another opens a second tab with the cookies and storage of the first.
func (p *tab) another(width, height int64) *tab {
	p.t.Helper()
	ctx, cancel := chromedp.NewContext(p.ctx)
	p.t.Cleanup(cancel)
	return newTab(p.t, ctx, p.base, width, height)
}

func newTab(t *testing.T, ctx context.Context, base string, width, height int64, options ...chromedp.EmulateViewportOption) *tab {
	t.Helper()
	p := &tab{t: t, ctx: ctx, base: base}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height, options...)); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.console = append(p.console, message.String())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(p.checkConsole)
	return p
}

// checkConsole fails the test for anything the page complained about, such as an exception or a breach of the content
// security policy. Answers with an error status are logged by the browser itself and are the business of each test.
func (p *tab) checkConsole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.console {
		if !strings.Contains(line, "Failed to load resource") && !strings.Contains(line, "net::ERR_") {
			p.t.Errorf("console: %s", line)
		}
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("step in the browser: %v\n%s", err, p.dump())
	}
}

// evaluate returns the value of a JavaScript expression.
func evaluate[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

// wait waits until the JavaScript condition holds, also across the loading of another page.
func (p *tab) wait(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		var holds bool
		if holds, last = chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")")); last == nil && holds {
			return
		}
		time.Sleep(stride) // between two looks at the condition
	}
	p.t.Fatalf("never came true: %s (%v)\n%s", condition, last, p.dump())
}

// dump describes where the page stands, for the message of a failure.
func (p *tab) dump() string {
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

func (p *tab) open(path string) { p.t.Helper(); p.do(chromedp.Navigate(p.base + path)) }

func (p *tab) keys(keys string) { p.t.Helper(); p.do(chromedp.KeyEvent(keys)) }

func (p *tab) shiftKey(key string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(chromedp.Modifier(8))))
}

// click clicks the middle of the element with the mouse, as a person would: what lies above it gets the click.
func (p *tab) click(selector string) {
	p.t.Helper()
	x, y := p.point(selector, .5, .5)
	p.do(chromedp.MouseClickXY(x, y))
}

type box struct{ X, Y, Width, Height float64 } // CSS pixels in the window

// still returns the element's box once two looks in a row agree, after scrolling it into view.
func (p *tab) still(selector string) box {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelector(%q) && document.getAnimations().every((a) => a.playState !== "running")`, selector))
	evaluate[any](p, fmt.Sprintf(`void (() => {
		const node = document.querySelector(%q), r = node.getBoundingClientRect(), bar = document.querySelector(".bar")?.getBoundingClientRect().top || innerHeight;
		if (r.top < 0 || r.bottom > bar) node.scrollIntoView({block: "center"});
	})()`, selector))
	p.wait(`document.getAnimations().every((a) => a.playState !== "running")`)
	return evaluate[box](p, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return {X: r.x, Y: r.y, Width: r.width, Height: r.height}; })()`, selector))
}

// point returns a point of the element in the window, given as shares of its width and height.
func (p *tab) point(selector string, right, down float64) (x, y float64) {
	p.t.Helper()
	b := p.still(selector)
	return b.X + right*b.Width, b.Y + down*b.Height
}

// drag drags the card by the mouse to the point of the target element given as shares of its width and height.
func (p *tab) drag(slot, target string, right, down float64) {
	p.t.Helper()
	p.lift(slot, target, right, down)
	x, y := p.point(target, right, down)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, x, y, chromedp.ButtonType(input.MouseButtonLeft), chromedp.ClickCount(1)))
	p.wait(`!document.querySelector(".ghost")`)
}

// lift is drag without letting go.
func (p *tab) lift(slot, target string, right, down float64) {
	p.t.Helper()
	fromX, fromY := p.point(card(slot)+" .text", .3, .5)
	left := chromedp.ButtonType(input.MouseButtonLeft)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, fromX, fromY, left, chromedp.ClickCount(1)))
	x, y := p.point(target, right, down)
	for _, share := range []float64{.1, .5, .9, 1} {
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, fromX+share*(x-fromX), fromY+share*(y-fromY), left))
	}
	p.wait(`document.querySelector(".ghost")`)
}

func (p *tab) touch(kind input.DispatchTouchEventType, points ...*input.TouchPoint) {
	p.t.Helper()
	if points == nil {
		points = []*input.TouchPoint{}
	}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: points})
		return err
	}))
}

// prefer sets media features, such as "prefers-color-scheme", "dark".
func (p *tab) prefer(pairs ...string) {
	p.t.Helper()
	var features []*emulation.MediaFeature
	for i := 0; i+1 < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}))
}

// offline cuts the tab off from the network, or connects it again.
func (p *tab) offline(off bool) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		rules := network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}}}
		if _, err := cdp.Call(ctx, t, network.EmulateNetworkConditionsByRule, rules); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1})
		return err
	}))
}

func card(slot string) string { return fmt.Sprintf(`.board .card[data-slot="%s"]`, slot) }

func placeOf(place int) string { return fmt.Sprintf(`[data-place="%d"]`, place) }

// standing returns where every card stands, in the words of the page itself: "1: A C | 2: B | pool: D".
func (p *tab) standing() string {
	p.t.Helper()
	return evaluate[string](p, standingScript)
}

const standingScript = `[...document.querySelectorAll(".place"), document.querySelector("#pool")]
	.map((zone) => [zone.dataset.place === "0" ? "pool" : zone.dataset.place, [...zone.querySelectorAll(".card")].map((card) => card.dataset.slot).join(" ")])
	.filter(([, cards]) => cards !== "").map(([place, cards]) => place + ": " + cards).join(" | ")`

func (p *tab) stands(want string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("(%s) === %q", standingScript, want))
}

// A site is the real server on a real database behind a recorder of everything it sends.
type site struct {
	*httptest.Server
	handler atomic.Pointer[http.Handler]
	fail    atomic.Int32                  // status with which the next ranking is refused before it reaches the server; 0 for none
	down    atomic.Bool                   // whether every connection is cut without an answer
	gate    atomic.Pointer[chan struct{}] // what rankings wait for before they reach the server; nil for nothing

	mu    sync.Mutex
	sent  bytes.Buffer   // headers and bodies of all answers
	asked map[string]int // requests by method and path, without ids
}

func newSite(t testing.TB, handler http.Handler) *site {
	s := &site{asked: map[string]int{}}
	s.handler.Store(&handler)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.Method+" "+taskPath.ReplaceAllString(r.URL.Path, "/api/tasks/ID$1")]++
		s.mu.Unlock()
		if s.down.Load() {
			panic(http.ErrAbortHandler)
		}
		if gate := s.gate.Load(); gate != nil && strings.HasSuffix(r.URL.Path, "/ranking") {
			<-*gate
		}
		if status := s.fail.Load(); status != 0 && strings.HasSuffix(r.URL.Path, "/ranking") && s.fail.CompareAndSwap(status, 0) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(status))
			fmt.Fprint(w, `{"error":{"code":"busy","message":"The database is busy."}}`)
			return
		}
		(*s.handler.Load()).ServeHTTP(&recorder{ResponseWriter: w, site: s}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

var taskPath = regexp.MustCompile(`^/api/tasks/[^/]+(/.*)$`)

// requests returns how often something was asked for, such as "POST /api/tasks/next".
func (s *site) requests(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

// everythingSent returns all headers and bodies sent so far.
func (s *site) everythingSent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.String()
}

type recorder struct {
	http.ResponseWriter
	site *site
}

func (r *recorder) WriteHeader(status int) {
	r.site.mu.Lock()
	r.Header().Write(&r.site.sent)
	r.site.mu.Unlock()
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(body []byte) (int, error) {
	r.site.mu.Lock()
	r.site.sent.Write(body)
	r.site.mu.Unlock()
	return r.ResponseWriter.Write(body)
}

func (r *recorder) Flush() { r.ResponseWriter.(http.Flusher).Flush() }

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
