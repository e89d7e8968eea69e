package labeling

import (
	"embed"
	"io/fs"
)

//go:embed ui
var uiFiles embed.FS

// uiFS returns the pages and what they load: index.html (sign-in), label.html, admin.html and the directory static with
// style sheets, ES modules and the icon. The pages are the same bytes for everyone; what differs they ask of the JSON API.
// They hold no inline script and no inline style, so script-src 'self' and style-src 'self' suffice.
func uiFS() fs.FS {
	files, err := fs.Sub(uiFiles, "ui")
	if err != nil {
		panic(err) // only an invalid path fails, and this one is a constant
	}
	return files
}
