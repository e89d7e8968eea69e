package labeling

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

func TestDescribeNull(t *testing.T) {
	type inner struct {
		X int `json:"x"`
	}
	type outer struct {
		May  *inner `json:"may"`
		Must inner  `json:"must"`
	}
	api := newAPI(gin.New(), "c")
	s := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[outer](), true, "")
	describeNull(api)
	for text, want := range map[string]bool{
		`{"may":null,"must":{"x":1}}`:          true,
		`{"may":{"x":1},"must":{"x":1}}`:       true,
		`{"may":{"x":"1"},"must":{"x":1}}`:     false,
		`{"may":{"x":1,"y":1},"must":{"x":1}}`: false,
		`{"may":5,"must":{"x":1}}`:             false,
		`{"may":null,"must":null}`:             false,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		var res huma.ValidateResult
		huma.Validate(api.OpenAPI().Components.Schemas, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &res)
		if (len(res.Errors) == 0) != want {
			t.Errorf("%s: %v", text, res.Errors)
		}
	}
}
