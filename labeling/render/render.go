// Package render makes what labelers read: markdown as HTML that is safe to put into a page, and the places where a response
// says which model it is. It knows neither HTTP nor storage. Markdown is CommonMark with tables and strikethrough by
// goldmark; bluemonday then keeps a short list of elements, so that a mistake in the first does not reach the page.
package render

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	markup "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// deeper is how many levels headings move down: those of a text stand below the page's own.
const deeper = 3

var markdown = goldmark.New(
	goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Strikethrough, extension.Linkify),
	goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(lowered{}, 100))),
	goldmark.WithRendererOptions(markup.WithHardWraps(), renderer.WithNodeRenderers(util.Prioritized(literal{}, 100))),
)

var policy = newPolicy()

func newPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code", "em", "strong", "del", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^language-[A-Za-z0-9_+#.-]+$`)).OnElements("code")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true) // with rel="noopener"
	return p
}

// HTML returns markdown as HTML without scripts, styles, forms, pictures or anything else that loads by itself. Line breaks
// are kept. HTML in the text, and pictures, are shown as they were written. It may be used concurrently.
func HTML(markdownText string) string {
	if plain(markdownText) {
		return paragraph(markdownText)
	}
	var out bytes.Buffer
	if err := markdown.Convert([]byte(markdownText), &out); err != nil {
		return paragraph(markdownText) // a buffer takes everything; should it not, the text is shown as it is
	}
	return policy.Sanitize(out.String())
}

// plain reports whether a text is one line of nothing but letters and harmless marks, as most short answers are.
func plain(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x4e00 && r <= 0x9fff:
		case r == ' ' || r == ',' || r == '?' || r == ';' || r == '，' || r == '。' || r == '？':
		default:
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "    ") && strings.TrimSpace(s) != "" && !strings.Contains(strings.ToLower(s), "www")
}

func paragraph(s string) string {
	return "<p>" + strings.ReplaceAll(html.EscapeString(strings.TrimSpace(s)), "\n", "<br>\n") + "</p>\n"
}

// lowered moves headings down.
type lowered struct{}

func (lowered) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the walker returns no error
		if h, ok := n.(*ast.Heading); ok && entering {
			h.Level = min(h.Level+deeper, 6)
		}
		return ast.WalkContinue, nil
	})
}

// literal renders HTML and pictures as the text they were written as.
type literal struct{}

func (l literal) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindRawHTML, l.rawHTML)
	r.Register(ast.KindHTMLBlock, l.block)
	r.Register(ast.KindImage, l.image)
}

func write(w util.BufWriter, s []byte) { w.WriteString(html.EscapeString(string(s))) }

func (literal) rawHTML(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		segments := n.(*ast.RawHTML).Segments
		for i := range segments.Len() {
			at := segments.At(i)
			write(w, at.Value(source))
		}
	}
	return ast.WalkSkipChildren, nil
}

func (literal) block(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	b := n.(*ast.HTMLBlock)
	var all []byte
	for i := range b.Lines().Len() {
		at := b.Lines().At(i)
		all = append(all, at.Value(source)...)
	}
	if b.HasClosure() {
		all = append(all, b.ClosureLine.Value(source)...)
	}
	w.WriteString(paragraph(string(all)))
	return ast.WalkContinue, nil
}

func (literal) image(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		w.WriteString("![")
		return ast.WalkContinue, nil // the description stands between
	}
	w.WriteString("](")
	write(w, n.(*ast.Image).Destination)
	w.WriteString(")")
	return ast.WalkContinue, nil
}
