package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
)

// kernelsKey is the key of state.json that is the checkpoint's, beside the fields of the stage's own state.
const kernelsKey = "kernels"

// encodeState returns state.json: the fields of a stage's state and the
// instruction sets that made the run, in alphabetical order of their keys.
func encodeState(state any, kernels []string) ([]byte, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, fmt.Errorf("it is a %T, expected a struct", state)
	}
	if _, taken := fields[kernelsKey]; taken {
		return nil, fmt.Errorf("its field %q is the checkpoint's own", kernelsKey)
	}
	if fields[kernelsKey], err = json.Marshal(kernels); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	return append(text, '\n'), err
}

// loadState reads state.json. It returns the instruction sets that made the run,
// none where the file does not say, and what puts the stage's state in place of
// what state points at.
func loadState(file string, state any) (kernels []string, set func(), err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	to := reflect.ValueOf(state)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return nil, nil, fmt.Errorf("%s: State is a %T, expected a pointer", file, state)
	}
	own, kernels, err := splitState(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	fresh := reflect.New(to.Type().Elem())
	d := json.NewDecoder(bytes.NewReader(own))
	d.DisallowUnknownFields()
	if err := d.Decode(fresh.Interface()); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return kernels, func() { to.Elem().Set(fresh.Elem()) }, nil
}

// splitState is the inverse of encodeState.
func splitState(raw []byte) (own []byte, kernels []string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, nil, err
	}
	if made, ok := fields[kernelsKey]; ok {
		if err := json.Unmarshal(made, &kernels); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", kernelsKey, err)
		}
		if len(kernels) == 0 || slices.Contains(kernels, "") {
			return nil, nil, fmt.Errorf("%s: found %s, expected names", kernelsKey, made)
		}
		delete(fields, kernelsKey)
	}
	own, err = json.Marshal(fields)
	return own, kernels, err
}
