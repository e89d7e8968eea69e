package render

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

func TestHTML(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"plain", " a warm and quiet film", "<p>a warm and quiet film</p>\n"},
		{"sentence", " a warm film .", "<p>a warm film .</p>\n"},
		{"less", "1 < 2 & \"x\"", "<p>1 &lt; 2 &amp; &#34;x&#34;</p>\n"},
		{"emphasis", "*a* **b** ~~c~~ `d<e>`", "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d&lt;e&gt;</code></p>\n"},
		{"line breaks are kept", "roses\nviolets", "<p>roses<br>\nviolets</p>\n"},
		{"code", "```go\nif a < b { }\n```", "<pre><code class=\"language-go\">if a &lt; b { }\n</code></pre>\n"},
		{"list", "1. a\n2. b\n", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n"},
		{"list from 3", "3. a\n", "<ol start=\"3\">\n<li>a</li>\n</ol>\n"},
		{"headings below the page's own", "# a\n\n#### b", "<h4>a</h4>\n<h6>b</h6>\n"},
		{"quote", "> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"},
		{"link", "[a](https://example.org/?q=1)", `<p><a href="https://example.org/?q=1" rel="nofollow noopener" target="_blank">a</a></p>` + "\n"},
		{"picture stays text", "![a *b*](https://example.org/x.png)", "<p>![a <em>b</em>](https://example.org/x.png)</p>\n"},
		{"html stays text", "a <b>c</b>", "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n"},
		{"block of html stays text", "<div>\nx\n</div>", "<p>&lt;div&gt;<br>\nx<br>\n&lt;/div&gt;</p>\n"},
		{"nothing", "", ""},
		{"Chinese", "你好，**世界**。", "<p>你好，<strong>世界</strong>。</p>\n"},
	} {
		if got := HTML(test.in); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	table := HTML("|a|b|\n|:-|-:|\n|1|2|\n")
	for _, want := range []string{`<th align="left">a</th>`, `<td align="right">2</td>`} {
		if !strings.Contains(table, want) {
			t.Errorf("table: %s lacks %s", table, want)
		}
	}
}

// hostile are texts that try to run something, load something or leave their place.
var hostile = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC=//x.example/x.js></SCRIPT>`, `<img src=x onerror=alert(1)>`, `<svg/onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`,
	`<iframe src="javascript:alert(1)">`, `<a href="javascript:alert(1)">x</a>`, `[x](javascript:alert(1))`, `[x](JaVaScRiPt:alert(1))`, `[x](&#106;avascript:alert(1))`,
	"[x](java\tscript:alert(1))", `[x](data:text/html;base64,PHNjcmlwdD4=)`, `[x](vbscript:x)`, `![x](javascript:alert(1))`, `![x](x" onerror="alert(1))`, `<javascript:alert(1)>`,
	`<https://example.org/"onclick="alert(1)>`, `[a](https://example.org "title\" onmouseover=\"alert(1)")`, "```\" onload=\"alert(1)\nx\n```", "```<script>\nalert(1)\n```",
	`<style>*{display:none}</style>`, `<p style="position:fixed">x</p>`, `<form action=//x.example><input name=a></form>`, `<meta http-equiv=refresh content=0>`, `<base href=//x.example>`,
	`<object data=x>`, `<embed src=x>`, `<link rel=stylesheet href=//x.example/x.css>`, `<details open ontoggle=alert(1)>`, `<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>`,
	`</div></main><h1>x</h1>`, `<!--><script>alert(1)</script-->`, `<![CDATA[<script>alert(1)</script>]]>`, `<?php x ?>`, "a\x00<script>b", "<scr\x00ipt>alert(1)</scr\x00ipt>",
	`&lt;script&gt;alert(1)&lt;/script&gt;`, `<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, "|<script>|\n|-|\n|<img src=x onerror=y>|", "[x]: javascript:alert(1)\n\n[x]",
	`# <script>alert(1)</script>`, "- <script>alert(1)</script>", "> <script>alert(1)</script>", `**<script>alert(1)</script>**`, "    <script>alert(1)</script>",
}

// checkSafe parses HTML as a browser would and fails for anything but a few elements and attributes.
func checkSafe(t *testing.T, source, out string) {
	t.Helper()
	elements := strings.Fields("p br hr h4 h5 h6 blockquote ul ol li pre code em strong del table thead tbody tr th td a")
	attributes := map[string][]string{"a": {"href", "rel", "target"}, "code": {"class"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
	nodes, err := html.ParseFragment(strings.NewReader(out), &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.CommentNode {
			t.Errorf("%q: a comment in %q", source, out)
		}
		if n.Type == html.ElementNode {
			if !slices.Contains(elements, n.Data) {
				t.Errorf("%q: element %s in %q", source, n.Data, out)
			}
			for _, a := range n.Attr {
				if !slices.Contains(attributes[n.Data], a.Key) {
					t.Errorf("%q: attribute %s of %s in %q", source, a.Key, n.Data, out)
				}
				scheme, _, absolute := strings.Cut(a.Val, ":")
				if a.Key == "href" && absolute && !slices.Contains([]string{"http", "https", "mailto"}, strings.ToLower(scheme)) && !strings.Contains(scheme, "/") && !strings.Contains(scheme, "?") && !strings.Contains(scheme, "#") {
					t.Errorf("%q: a link to %q", source, a.Val)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	for _, n := range nodes {
		walk(n)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, text := range hostile {
		out := HTML(text)
		checkSafe(t, text, out)
		if strings.Contains(text, "alert(1)") && !strings.Contains(text, "](") && !strings.Contains(text, "[x]:") && !strings.Contains(text, "onload=\"alert") && !strings.Contains(out, "alert(1)") {
			t.Errorf("%q: the labeler cannot see what was written: %q", text, out)
		}
	}
}

func FuzzHTML(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Add("# a\n\n|b|\n|-|\n\n1. *c*\n\n```go\nd\n```\n")
	f.Fuzz(func(t *testing.T, text string) {
		checkSafe(t, text, HTML(text))
		for _, l := range Leaks(text) {
			if l.From >= l.To || l.Words == "" {
				t.Errorf("%q: %+v", text, l)
			}
		}
	})
}

func TestLeaks(t *testing.T) {
	for text, want := range map[string]string{
		"Hello! I'm Claude, made to help.":              "I'm Claude",
		"I’m ChatGPT and I can":                         "I’m ChatGPT",
		"Hi, my name is Bard.":                          "my name is Bard",
		"I am a large language model called Vicuna.":    "I am a large language model called Vicuna",
		"As an AI model developed by OpenAI, I cannot":  "As an AI model developed by OpenAI",
		"as an AI language model, trained by Anthropic": "as an AI language model, trained by Anthropic",
		"I was created by the team at Mistral AI.":      "I was created by the team at Mistral AI",
		"As GPT-4, I do not have":                       "As GPT-4, I",
		"My creators at OpenAI did not":                 "My creators at OpenAI",
		"I'm Anthropic's AI assistant.":                 "I'm Anthropic's AI assistant",
		"你好，我是ChatGPT，很高兴":                              "我是ChatGPT",
		"我叫通义千问。":                                       "我叫通义千问",
		"我是由OpenAI开发的语言模型":                              "我是由OpenAI开发",
		"作为百度研发的人工智能语言模型":                               "作为百度研发",
		"我是阿里云自主研发的大模型":                                 "我是阿里云自主研发",
		"😀 I'm Claude":                                  "I'm Claude",
		"I'm claude.":                                   "I'm claude",
		// what speaks of others
		"Windows was developed by Microsoft.":                     "",
		"Monet's teacher was Claude's friend.":                    "",
		"I am a teacher. The phone was made by Google.":           "",
		"Ask ChatGPT or Claude if you like.":                      "",
		"As an engineer, I work with tools. OpenAI is a company.": "",
		"华为是一家公司。":                                                "",
		"我喜欢百度搜索":                                                 "",
		"":                                                        "",
		"The gemini are twins; I'm gemination's friend.":          "",
	} {
		got := ""
		for _, l := range Leaks(text) {
			got += l.Words
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Leaks("😀你 I'm Claude"); len(got) != 1 || got[0].From != 4 || got[0].To != 14 {
		t.Errorf("offsets %+v; JavaScript finds the words from 4 to 14", got)
	}
	if got := Leaks("I'm Claude. I was made by Anthropic."); len(got) != 2 || got[0].Words != "I'm Claude" || got[1].Words != "I was made by Anthropic" {
		t.Errorf("two leaks: %+v", got)
	}
}

func BenchmarkHTML(b *testing.B) {
	long := strings.Repeat("Here is *one* thing, and `another`:\n\n1. first\n2. second\n\nAnd so it goes on for a while, with words and more words.\n\n", 10)
	b.SetBytes(int64(len(long)))
	for b.Loop() {
		HTML(long)
	}
}
