package labeling_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// axeSource is axe-core, which `npm ci --prefix labeling/testdata/axe` installs.
var axeSource = sync.OnceValues(func() (string, error) {
	raw, err := os.ReadFile("testdata/axe/node_modules/axe-core/axe.min.js")
	return string(raw), err
})

// needAxe skips the test where axe-core is not installed, or fails it where that has been promised: with CI=true.
func needAxe(t *testing.T) {
	t.Helper()
	if _, err := axeSource(); err != nil {
		const missing = "axe-core is not installed: run `npm ci --prefix labeling/testdata/axe`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
}

// axe returns what axe-core finds on the page that is serious or critical by WCAG 2.2 A and AA and its own best practices.
func (p *tab) axe() (faults []string) {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	if !evaluate[bool](p, `"axe" in window`) {
		evaluate[any](p, "void (() => {"+source+"})()")
	}
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML           string
			FailureSummary string
		}
	}
	text := evaluate[string](p, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(({violations}) => JSON.stringify(violations))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		for _, node := range v.Nodes {
			faults = append(faults, fmt.Sprintf("%s (%s): %s: %.300s: %s", v.ID, v.Impact, v.Help, node.HTML, strings.Join(strings.Fields(node.FailureSummary), " ")))
		}
	}
	return faults
}
