package labeling

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/language"

	"rlhf/storage"
)

// A page is an HTML page of the application: ui/pages/NAME.html within ui/pages/layout.html. It loads NAME.css and NAME.js
// where there are such files, and its title is the text NAME.title.
type page struct {
	path string
	name string
	role string // the least role that may see it; "" is everyone, signed in or not
	link bool   // whether the bar at the top has a link to it for those who may see it
}

// pages are all pages. The API checks roles itself; here they only spare people a page that could show them nothing.
var pages = []page{
	{"/", "signin", "", false},
	{"/enter", "enter", "", false},
	{"/label", "label", storage.RoleLabeler, true},
	{"/review", "review", storage.RoleReviewer, true},
	{"/review/:project", "disputes", storage.RoleReviewer, false},
	{"/review/:project/:task", "verdict", storage.RoleReviewer, false},
	{"/admin", "projects", storage.RoleAdmin, true},
	{"/admin/projects/:project", "project", storage.RoleAdmin, false},
	{"/admin/projects/:project/figures", "figures", storage.RoleAdmin, false},
	{"/admin/people", "people", storage.RoleAdmin, true},
	{"/admin/audit", "audit", storage.RoleAdmin, true},
}

// Pages shown in place of another.
var (
	refusedPage = page{name: "refused"}
	missingPage = page{name: "missing"}
)

// roles in rising order: whoever has one may do all that those before it may.
var roles = []string{"", storage.RoleLabeler, storage.RoleReviewer, storage.RoleAdmin}

// mayBe reports whether somebody with a role may do what takes at least another.
func mayBe(role, least string) bool { return slices.Index(roles, role) >= slices.Index(roles, least) }

const (
	langCookie  = "rlhf_lang"
	themeCookie = "rlhf_theme"
)

// A view is what a page's template gets.
type view struct {
	Name   string // of the page
	Path   string
	Static string // address of the assets
	Lang   string
	Theme  string // light, dark, or "" for the device's own
	Next   string // where signing in leads
	User   storage.Labeler
	Links  []pageLink
}

type pageLink struct {
	Path, Title string
	Here        string // the value of aria-current
}

// HTMLLang is the language as the lang attribute has it: Chinese text is in simplified characters.
func (v view) HTMLLang() string { return map[string]string{"en": "en", "zh": "zh-Hans"}[v.Lang] }

// Languages are those to choose from.
func (v view) Languages() []string { return languages }

// Themes are those to choose from; "" is the device's own.
func (v view) Themes() []string { return []string{"", "light", "dark"} }

// pages serves the pages and what they load.
func (s *Server) pages(g *gin.Engine) {
	for _, p := range pages {
		g.GET(p.path, func(c *gin.Context) { s.page(c, p) })
	}
	g.GET("/static/*path", func(c *gin.Context) {
		u := loadUI()
		a, ok := u.assets[strings.TrimPrefix(c.Request.URL.Path, u.static+"/")]
		if !ok {
			c.String(http.StatusNotFound, "There is no such file.\n")
			return
		}
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
		c.Header("Vary", "Accept-Encoding")
		content := a.content
		if len(a.gzipped) < len(a.content) && strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
			c.Header("Content-Encoding", "gzip")
			content = a.gzipped
		}
		c.Data(http.StatusOK, a.mediaType, content)
	})
}

// page answers with a page, or leads to the sign-in page and back.
func (s *Server) page(c *gin.Context, p page) {
	user, err := s.visitor(c)
	if err != nil {
		s.refuse(c, err)
		return
	}
	switch {
	case p.path == "/" && user.Name != "":
		c.Redirect(http.StatusSeeOther, destination(c.Query("next")))
	case p.role != "" && user.Name == "":
		c.Redirect(http.StatusSeeOther, "/?next="+url.QueryEscape(c.Request.URL.RequestURI()))
	case !mayBe(user.Role, p.role):
		s.render(c, http.StatusForbidden, refusedPage, user)
	default:
		s.render(c, http.StatusOK, p, user)
	}
}

// visitor returns who asks for a page; a name of "" is somebody who is not signed in.
func (s *Server) visitor(c *gin.Context) (storage.Labeler, error) {
	token, err := c.Cookie(s.cookieName())
	if err != nil {
		return storage.Labeler{}, nil
	}
	l, err := s.store.SessionLabeler(c.Request.Context(), tokenHash(token))
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Labeler{}, nil
	}
	return l, err
}

func (s *Server) render(c *gin.Context, status int, p page, user storage.Labeler) {
	u := loadUI()
	v := view{Name: p.name, Path: c.Request.URL.Path, Static: u.static, Lang: pickLanguage(c.Request), Theme: pickTheme(c.Request), Next: destination(c.Query("next")), User: user}
	for _, other := range pages {
		if other.link && user.Name != "" && mayBe(user.Role, other.role) {
			v.Links = append(v.Links, pageLink{other.path, other.name + ".link", here(other.path, v.Path)})
		}
	}
	var body bytes.Buffer
	if err := u.pages[v.Lang][p.name].Execute(&body, v); err != nil {
		s.refuse(c, err)
		return
	}
	c.Header("Cache-Control", "private, no-cache")
	c.Header("Vary", "Cookie, Accept-Language")
	c.Header("Content-Language", v.HTMLLang())
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
}

// here is the aria-current of a link on the page of a path: "page" for the page itself, "true" for what it is part of.
func here(link, path string) string {
	switch {
	case link == path:
		return "page"
	case strings.HasPrefix(path, link+"/") && !slices.ContainsFunc(pages, func(p page) bool { return p.link && p.path == path }):
		return "true"
	}
	return ""
}

// destination returns where signing in leads: only ever to a page of this application.
func destination(next string) string {
	for _, p := range pages {
		if rest, ok := strings.CutPrefix(next, p.path); ok && p.role != "" && (rest == "" || rest[0] == '/' || rest[0] == '?') {
			return next
		}
	}
	return "/label"
}

var languageMatcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese}) // in the order of languages

// pickLanguage returns the language chosen by the switch on the page, or else the best that the browser asks for.
func pickLanguage(r *http.Request) string {
	if c, err := r.Cookie(langCookie); err == nil && slices.Contains(languages, c.Value) {
		return c.Value
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return languages[0]
	}
	_, i, _ := languageMatcher.Match(wanted...)
	return languages[i]
}

func pickTheme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}
