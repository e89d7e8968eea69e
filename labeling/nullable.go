package labeling

import (
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// describeNull says in the description of an API that a field which is a pointer to a struct may be null, as it is for
// pointers to scalars. It is called once all operations are registered.
func describeNull(api huma.API) {
	r := api.OpenAPI().Components.Schemas
	for name, s := range r.Map() {
		if t := r.TypeFromRef("#/components/schemas/" + name); t != nil {
			describeNullFields(s, t)
		}
	}
}

func describeNullFields(s *huma.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			describeNullFields(s, f.Type)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[name]
		if f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() != reflect.Struct || p == nil || p.Ref == "" {
			continue
		}
		either := &huma.Schema{AnyOf: []*huma.Schema{{Ref: p.Ref}, {Enum: []any{nil}}}, Description: p.Description}
		either.PrecomputeMessages()
		s.Properties[name] = either
	}
}
