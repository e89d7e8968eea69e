package labeling_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// testLook measures every page in both colour schemes from phone to wide screen: no scrolling sideways, text contrast of
// WCAG 2.2 AA (4.5 to 1; 3 to 1 for large text), targets of 48 px, a dark ground in the dark, no motion where none is wanted.
func testLook(t *testing.T, browser context.Context) {
	long := review{prompt: "the script , which " + strings.Repeat("wanders on and ", 30)}
	for i := range 9 {
		long.completions = append(long.completions, strings.Repeat(" never finds an end ,", 1+3*i)+" at last .")
	}
	w := newWorld(t, []review{long, reviews[0]})
	p := openTab(t, browser, w.URL, 1280, 800)
	look := p.look
	p.open("/")
	p.wait(`document.querySelector("#name")`)
	look("sign-in")
	p.click("#account-button")
	p.wait(`document.querySelector("#account").matches(":popover-open")`)
	look("settings")
	p.open("/enter#abc")
	p.wait(`document.querySelector("#enter:enabled")`)
	look("one-time link")
	p.signIn("boss", password)
	look("unranked")
	p.prefer("prefers-reduced-motion", "reduce")
	p.keys("a1b1c2")
	if moving := evaluate[int](p, `document.getAnimations().length`); moving != 0 {
		t.Errorf("%d animations run though the labeler wants reduced motion", moving)
	}
	p.keys("?")
	p.wait(`document.querySelector("#help").open`)
	look("help")
	p.keys("?")
	p.keys("c3d4e5f6g6h7i8")
	w.fail.Store(500)
	p.click("#submit")
	p.wait(`document.querySelector("#trouble").checkVisibility()`)
	look("complete, with an error")
	p.click("#submit")
	p.wait(`document.querySelectorAll("#pool .card").length === 4`)
	p.keys("a1b2c3d4\r")
	p.wait(`document.querySelector("#state.done:not([hidden])")`)
	look("all done")
	for _, page := range adminPages {
		p.goTo(page.path, page.open)
		look(page.path)
	}
}

// look measures the page as it stands.
func (p *tab) look(state string) {
	p.t.Helper()
	for _, width := range []int64{390, 1000, 1600} {
		p.do(chromedp.EmulateViewport(width, 844))
		for _, scheme := range []string{"light", "dark"} {
			p.prefer("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
			p.wait(fmt.Sprintf(`innerWidth === %d && matchMedia("(prefers-color-scheme: %s)").matches`, width, scheme))
			for _, fault := range evaluate[[]string](p, lookScript) {
				p.t.Errorf("%s, %s, %d px wide: %s", state, scheme, width, fault)
			}
		}
	}
}

const lookScript = `(() => {
	const faults = [];
	const wide = document.documentElement.scrollWidth;
	if (wide > innerWidth) faults.push("the page is " + wide + " px wide");
	const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a / 255 + under[i] * (1 - a / 255));
	const luminance = (colour) => colour.slice(0, 3).map((c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
	const ground = (node) => {
		const chain = [];
		for (; node; node = node.parentElement) {
			chain.unshift(getComputedStyle(node).backgroundColor);
			if (node.className === "chip" || node.className === "move") chain.push(getComputedStyle(node, "::before").backgroundColor);
			if (node.matches("dialog, [popover]")) break;
		}
		return chain.reduce((under, colour) => over(rgba(colour), under), [255, 255, 255]);
	};
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;
	const page = luminance(ground(document.body));
	if (dark ? page > .05 : page < .8) faults.push("the ground has luminance " + page.toFixed(3));
	const scope = document.querySelector("dialog[open], :popover-open") || document.body;
	for (const node of scope.querySelectorAll("*")) {
		if (!node.checkVisibility() || node.closest(".unseen, :disabled, [aria-disabled=true], noscript")) continue;
		const style = getComputedStyle(node);
		if ([...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== "")) {
			const under = ground(node);
			const [a, b] = [luminance(over(rgba(style.color), under)), luminance(under)].sort((x, y) => y - x);
			const ratio = (a + .05) / (b + .05);
			const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
			if (ratio < (large ? 3 : 4.5)) faults.push("contrast " + ratio.toFixed(2) + " of <" + node.localName + " class=" + node.className + "> " + node.textContent.trim().slice(0, 40));
		}
		if (node.matches("button, a, input, textarea, summary") && !node.closest(".rich")) {
			const box = (node.matches("[type=checkbox], [type=radio]") && node.closest("label") || node).getBoundingClientRect(); // the label is part of the target
			if (box.height < 47.5 || box.width < 28) faults.push("target of " + box.width.toFixed(0) + " × " + box.height.toFixed(0) + " px: <" + node.localName + "> " + node.textContent.trim().slice(0, 40));
			if (node.matches("button") && box.width < 47.5) faults.push("button " + box.width.toFixed(0) + " px wide: " + node.textContent.trim());
			if (!(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length)) faults.push("a control without a name: " + node.outerHTML.slice(0, 80));
		}
	}
	return faults;
})()`

// testRankingOperations runs the page's own ranking module on small cases worked out by hand. A standing is written
// "A|BC||D": A first, B and C tied in place 2, place 3 empty, D last; who is missing is not placed.
func testRankingOperations(t *testing.T, browser context.Context) {
	w := newWorld(t, reviews[:1])
	p := openTab(t, browser, w.URL, 800, 600)
	p.open("/")
	for _, test := range []struct{ from, operation, want string }{
		{"|||", `put("C", 3)`, "||C|"},
		{"AB|||CD", `put("A", 2)`, "B|A||CD"},
		{"A|B|C|D", `put("A", 5)`, "A|B|C|D"},
		{"A|B|C|D", `put("A", 0)`, "|B|C|D"},
		{"A|B|C|D", `up("C")`, "A|C|B|D"},
		{"A|BC||D", `up("D")`, "A|BC|D|"},
		{"A|BC|D|", `up("D")`, "A|D|BC|"},
		{"A|BC|D|", `up("B")`, "A|B|C|D"},
		{"AB|C|D|", `up("B")`, "B|A|C|D"},
		{"A|B|CD|", `down("C")`, "A|B|D|C"},
		{"|A|B|CD", `down("C")`, "A|B|D|C"},
		{"A|B|C|D", `down("D")`, "A|B|C|D"},
		{"A|B|C|D", `tie("B")`, "AB||C|D"},
		{"|A|B|C", `tie("A")`, "||AB|C"},
		{"AB|C|D|", `tie("A")`, "B|A|C|D"},
		{"A|B||", `tie("D")`, "A|BD||"},
		{"|||", `tie("D")`, "|||"},
		{"A|B||", `up("D")`, "A|B|D|"},
		{"A|B||", `down("D")`, "A|B||D"},
		{"A|B|C|", `insert("D", 0)`, "D|A|B|C"},
		{"|A|B|C", `insert("C", 2)`, "|A|C|B"},
		{"|AB|C|D", `insert("B", 1)`, "B|A|C|D"},
		{"A||BC|D", `insert("D", 2)`, "A|D|BC|"},
	} {
		got := evaluate[string](p, fmt.Sprintf(`import(new URL("ranking.js", document.querySelector("script[type=module]").src)).then(({Ranking}) => {
			const ranking = new Ranking(["A", "B", "C", "D"]);
			%q.split("|").forEach((slots, i) => [...slots].forEach((slot) => ranking.put(slot, i + 1)));
			ranking.%s;
			return [1, 2, 3, 4].map((place) => ranking.at(place).join("")).join("|");
		})`, test.from, test.operation))
		if got != test.want {
			t.Errorf("%s on %s gives %s, want %s", test.operation, test.from, got, test.want)
		}
	}
	got := evaluate[map[string]int](p, `import(new URL("ranking.js", document.querySelector("script[type=module]").src)).then(({Ranking}) => {
		const ranking = new Ranking(["A", "B", "C", "D"]);
		ranking.restore({A: 4, B: 2, C: 2, D: 9, E: 1});
		ranking.put("D", 1);
		return ranking.ranks();
	})`)
	if want := map[string]int{"A": 3, "B": 2, "C": 2, "D": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dense ranks are %v, want %v", got, want)
	}
}
