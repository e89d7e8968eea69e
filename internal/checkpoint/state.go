package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
)

// origin is what made a run. In state.json it stands beside the fields of the stage's own state.
type origin struct {
	kernels []string          // instruction sets, in order, one for each stretch; none if that is not known
	inputs  map[string]string // digests of what the run began with, by name; nil if that is not known
}

// The keys of state.json that are the checkpoint's.
const (
	kernelsKey = "kernels"
	inputsKey  = "inputs"
)

// encodeState returns state.json: the fields of a stage's state and what made the
// run, in alphabetical order of their keys.
func encodeState(state any, from origin) ([]byte, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, fmt.Errorf("it is a %T, expected a struct", state)
	}
	own := map[string]any{kernelsKey: from.kernels}
	if len(from.inputs) > 0 {
		own[inputsKey] = from.inputs
	}
	for key, value := range own {
		if _, taken := fields[key]; taken {
			return nil, fmt.Errorf("its field %q is the checkpoint's own", key)
		}
		if fields[key], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	return append(text, '\n'), err
}

// loadState reads state.json. It returns what made the run, and what puts the
// stage's state in place of what state points at.
func loadState(file string, state any) (from origin, set func(), err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return origin{}, nil, err
	}
	to := reflect.ValueOf(state)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return origin{}, nil, fmt.Errorf("%s: State is a %T, expected a pointer", file, state)
	}
	own, from, err := splitState(raw)
	if err != nil {
		return origin{}, nil, fmt.Errorf("%s: %w", file, err)
	}
	fresh := reflect.New(to.Type().Elem())
	d := json.NewDecoder(bytes.NewReader(own))
	d.DisallowUnknownFields()
	if err := d.Decode(fresh.Interface()); err != nil {
		return origin{}, nil, fmt.Errorf("%s: %w", file, err)
	}
	return from, func() { to.Elem().Set(fresh.Elem()) }, nil
}

// splitState is the inverse of encodeState.
func splitState(raw []byte) (own []byte, from origin, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, from, err
	}
	if made, ok := fields[kernelsKey]; ok {
		if err := json.Unmarshal(made, &from.kernels); err != nil {
			return nil, from, fmt.Errorf("%s: %w", kernelsKey, err)
		}
		if len(from.kernels) == 0 || slices.Contains(from.kernels, "") {
			return nil, from, fmt.Errorf("%s: found %s, expected names", kernelsKey, made)
		}
		delete(fields, kernelsKey)
	}
	if made, ok := fields[inputsKey]; ok {
		if err := json.Unmarshal(made, &from.inputs); err != nil {
			return nil, from, fmt.Errorf("%s: %w", inputsKey, err)
		}
		delete(fields, inputsKey)
	}
	own, err = json.Marshal(fields)
	return own, from, err
}
