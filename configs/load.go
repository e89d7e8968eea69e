package configs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

//go:embed presets/*.yaml
var presets embed.FS

// envPrefix and the upper-case key with _ for . name a setting's environment variable.
const envPrefix = "RLHF"

// Sources says where settings come from. Later ones win: preset, file, environment, flags.
type Sources struct {
	Preset string         // name of an embedded preset, "" for none
	File   string         // YAML file, "" for none
	Flags  *pflag.FlagSet // with the flags that AddFlags made; nil for none
}

// Resolved is a configuration with the origin of each of its settings.
type Resolved struct {
	Config
	origins map[string]string
}

// A key is one setting: its dotted name and its type.
type key struct {
	name string
	typ  reflect.Type
}

// keys returns every setting in the order of the structs.
func keys() []key {
	var out []key
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name := prefix + f.Tag.Get("mapstructure")
			if f.Type.Kind() == reflect.Struct {
				walk(name+".", f.Type)
			} else {
				out = append(out, key{name, f.Type})
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return out
}

// Presets returns the names of the embedded presets.
func Presets() []string {
	entries, err := presets.ReadDir("presets")
	if err != nil {
		panic(err) // embedded at build time
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// AddFlags adds a flag --section.setting for every setting of the sections, and for single settings that are named in full.
func AddFlags(flags *pflag.FlagSet, sections ...string) {
	defaults := values(Default())
	for _, k := range keys() {
		section, _, _ := strings.Cut(k.name, ".")
		switch {
		case !slices.Contains(sections, section) && !slices.Contains(sections, k.name):
		case k.typ.Kind() == reflect.Slice:
			flags.StringArray(k.name, nil, kindName(k.typ)+", an element for each time the flag is given")
		default:
			flags.String(k.name, fmt.Sprint(defaults[k.name]), kindName(k.typ))
		}
	}
}

// values returns a configuration by dotted key.
func values(c Config) map[string]any {
	out := map[string]any{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := prefix + v.Type().Field(i).Tag.Get("mapstructure")
			switch f := v.Field(i); {
			case f.Kind() == reflect.Struct:
				walk(name+".", f)
			case f.Kind() == reflect.Slice && f.IsNil():
				out[name] = reflect.MakeSlice(f.Type(), 0, 0).Interface()
			default:
				out[name] = f.Interface()
			}
		}
	}
	walk("", reflect.ValueOf(c))
	return out
}

// Load returns the configuration of the sources. Errors wrap ErrSetting and name
// the file with its line, the variable or the flag, the key, what was found and
// what was expected.
func Load(s Sources) (Resolved, error) {
	r := Resolved{origins: map[string]string{}}
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	for name, value := range values(Default()) {
		v.SetDefault(name, value) // the environment is consulted only for keys that have one
		r.origins[name] = "default"
	}
	if s.Preset != "" {
		raw, err := presets.ReadFile(path.Join("presets", s.Preset+".yaml"))
		if err != nil {
			return r, fmt.Errorf("%w: preset %q: there is none; known: %s", ErrSetting, s.Preset, strings.Join(Presets(), ", "))
		}
		if err := r.merge(v, "preset "+s.Preset, raw); err != nil {
			return r, err
		}
	}
	if s.File != "" {
		raw, err := os.ReadFile(s.File)
		if err != nil {
			return r, fmt.Errorf("%w: %w", ErrSetting, err)
		}
		if err := r.merge(v, s.File, raw); err != nil {
			return r, err
		}
	}
	if err := r.checkStrings(v, s.Flags); err != nil {
		return r, err
	}
	hooks := mapstructure.ComposeDecodeHookFunc(strict, mapstructure.StringToTimeDurationHookFunc())
	if err := v.UnmarshalExact(&r.Config, viper.DecodeHook(hooks)); err != nil {
		return r, fmt.Errorf("%w: %w", ErrSetting, err)
	}
	dropEmpty(reflect.ValueOf(&r.Config).Elem())
	if err := r.Config.Validate(); err != nil {
		name, _, _ := strings.Cut(err.Error(), ":")
		return r, fmt.Errorf("%w: %w (from %s)", ErrSetting, err, r.origins[name])
	}
	return r, nil
}

// dropEmpty makes empty lists nil, so that configurations that say the same are deeply equal.
func dropEmpty(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			dropEmpty(f)
		case f.Kind() == reflect.Slice && f.Len() == 0:
			f.SetZero()
		}
	}
}

// merge adds a YAML text to v after checking every key and value in it.
func (r *Resolved) merge(v *viper.Viper, origin string, raw []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("%w: %s: %s", ErrSetting, origin, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil
	}
	known := map[string]reflect.Type{}
	for _, k := range keys() {
		known[k.name] = k.typ
	}
	if err := r.checkNode(origin, "", doc.Content[0], known); err != nil {
		return err
	}
	v.SetConfigType("yaml")
	if err := v.MergeConfig(bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSetting, origin, err)
	}
	return nil
}

// checkNode checks a mapping below prefix.
func (r *Resolved) checkNode(origin, prefix string, n *yaml.Node, known map[string]reflect.Type) error {
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s:%d", origin, n.Line) }
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%w: %s: %s: found %q, expected settings", ErrSetting, at(n), strings.TrimSuffix(prefix, "."), n.Value)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := prefix + name.Value
		if line, twice := seen[full]; twice {
			return fmt.Errorf("%w: %s: %s: already set in line %d", ErrSetting, at(name), full, line)
		}
		seen[full] = name.Line
		typ, leaf := known[full]
		switch {
		case leaf:
			if wrong, err := checkValue(value, typ); err != nil {
				return fmt.Errorf("%w: %s: %s: %w", ErrSetting, at(wrong), full, err)
			}
			r.origins[full] = at(value)
		case isSection(full, known):
			if err := r.checkNode(origin, full+".", value, known); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %s: %s: no such setting%s", ErrSetting, at(name), full, suggestion(full, known))
		}
	}
	return nil
}

func isSection(name string, known map[string]reflect.Type) bool {
	for k := range known {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

// checkValue returns the node that is wrong with an error, unless n is of a setting's type as written.
func checkValue(n *yaml.Node, t reflect.Type) (*yaml.Node, error) {
	if t.Kind() != reflect.Slice {
		if n.Kind != yaml.ScalarNode {
			return n, fmt.Errorf("expected %s", kindName(t))
		}
		return n, checkScalar(n, t)
	}
	if n.Kind != yaml.SequenceNode {
		return n, fmt.Errorf("found %q, expected %s", n.Value, kindName(t))
	}
	for k, element := range n.Content {
		if _, err := checkValue(element, t.Elem()); err != nil {
			return element, fmt.Errorf("element %d: %w", k, err)
		}
	}
	return n, nil
}

// checkScalar returns an error unless a YAML scalar is of a setting's type as written.
func checkScalar(n *yaml.Node, t reflect.Type) error {
	tags := map[reflect.Kind][]string{reflect.Int: {"!!int"}, reflect.Uint64: {"!!int"}, reflect.Float64: {"!!int", "!!float"}, reflect.Bool: {"!!bool"}, reflect.String: {"!!str"}}
	if !slices.Contains(tags[t.Kind()], n.Tag) || t.Kind() == reflect.Uint64 && strings.HasPrefix(n.Value, "-") {
		return fmt.Errorf("found %q, expected %s", n.Value, kindName(t))
	}
	return nil
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Slice {
		return map[reflect.Kind]string{reflect.Int: "a list of whole numbers", reflect.String: "a list of texts"}[t.Elem().Kind()]
	}
	return map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Uint64: "a whole number from 0", reflect.Float64: "a number", reflect.Bool: "true or false", reflect.String: "text"}[t.Kind()]
}

// suggestion names the nearest known key, if one is near.
func suggestion(name string, known map[string]reflect.Type) string {
	best, least := "", 4
	for k := range known {
		if d := distance(name, k); d < least || d == least && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// checkStrings checks what the environment and the flags say, which is all text,
// and hands the flags to viper.
func (r *Resolved) checkStrings(v *viper.Viper, flags *pflag.FlagSet) error {
	for _, k := range keys() {
		env := envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
		if value, ok := os.LookupEnv(env); ok && value != "" { // viper reads an empty variable as not set
			if _, err := parse(value, k.typ); err != nil {
				return fmt.Errorf("%w: environment %s: %w", ErrSetting, env, err)
			}
			r.origins[k.name] = "environment " + env
		}
		if flags == nil {
			continue
		}
		if f := flags.Lookup(k.name); f != nil && f.Changed {
			if err := bind(v, k, f); err != nil {
				return fmt.Errorf("%w: flag --%s: %w", ErrSetting, k.name, err)
			}
			r.origins[k.name] = "flag --" + k.name
		}
	}
	return nil
}

// bind checks a flag and hands it to viper: a list element by element, since viper would cut texts at commas.
func bind(v *viper.Viper, k key, f *pflag.Flag) error {
	list, isList := f.Value.(pflag.SliceValue)
	if !isList {
		if _, err := parse(f.Value.String(), k.typ); err != nil {
			return err
		}
		return v.BindPFlag(k.name, f)
	}
	var values []any
	for _, text := range list.GetSlice() {
		value, err := parse(text, k.typ.Elem())
		if err != nil {
			return err
		}
		values = append(values, value)
	}
	v.Set(k.name, values)
	return nil
}

// parse reads text as a value of type t; a list is written as in YAML, [a, b].
func parse(text string, t reflect.Type) (value any, err error) {
	switch t.Kind() {
	case reflect.Int:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		value = int(n)
	case reflect.Uint64:
		value, err = strconv.ParseUint(text, 10, 64)
	case reflect.Float64:
		value, err = strconv.ParseFloat(text, 64)
	case reflect.Bool:
		if value = text == "true"; text != "true" && text != "false" {
			err = errors.New("not a bool")
		}
	case reflect.Slice:
		var doc yaml.Node
		if err = yaml.Unmarshal([]byte(text), &doc); err == nil && len(doc.Content) == 1 {
			if _, err := checkValue(doc.Content[0], t); err != nil {
				return nil, err
			}
			list := reflect.New(t)
			err = doc.Decode(list.Interface())
			value = list.Elem().Interface()
		}
	default:
		value = text
	}
	if err != nil {
		return nil, fmt.Errorf("found %q, expected %s", text, kindName(t))
	}
	return value, nil
}

// strict is a decode hook that takes text for what it says and refuses the
// conversions that viper would make in silence: fractions to whole numbers,
// negative to unsigned, numbers to bools.
func strict(from, to reflect.Type, data any) (any, error) {
	if from.Kind() == reflect.String && to.Kind() != reflect.String {
		return parse(data.(string), to)
	}
	wrong := fmt.Errorf("found %v, expected %s", data, kindName(to))
	v := reflect.ValueOf(data)
	switch to.Kind() {
	case reflect.Int, reflect.Uint64:
		if v.CanFloat() && v.Float() != math.Trunc(v.Float()) || !v.CanInt() && !v.CanUint() && !v.CanFloat() || to.Kind() == reflect.Uint64 && v.CanInt() && v.Int() < 0 {
			return nil, wrong
		}
	case reflect.Bool:
		if v.Kind() != reflect.Bool {
			return nil, wrong
		}
	case reflect.String:
		if v.Kind() != reflect.String {
			return nil, wrong
		}
	}
	return data, nil
}

// YAML returns the configuration as a file that Load reads back. With origins,
// each line says where its value comes from.
func (r Resolved) YAML(origins bool) []byte {
	var b bytes.Buffer
	all, section := values(r.Config), ""
	for _, k := range keys() {
		s, name, _ := strings.Cut(k.name, ".")
		if s != section {
			section = s
			fmt.Fprintf(&b, "%s:\n", s)
		}
		value, err := yaml.Marshal(oneLine(all[k.name]))
		if err != nil {
			panic(err) // scalars and lists of them always have an encoding
		}
		line := fmt.Sprintf("  %s: %s", name, bytes.TrimSpace(value))
		if origins {
			line = fmt.Sprintf("%-36s # %s", line, r.origins[k.name])
		}
		fmt.Fprintln(&b, line)
	}
	return b.Bytes()
}

// oneLine returns what encodes a setting in one line: of a list each element in quotes if it is text, since the encoder
// would make blocks of texts with line breaks.
func oneLine(value any) any {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Slice {
		return value
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for i := range v.Len() {
		element := &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Index(i))}
		if v.Type().Elem().Kind() == reflect.String {
			element.Style, element.Tag = yaml.DoubleQuotedStyle, "!!str"
		}
		list.Content = append(list.Content, element)
	}
	return list
}

// Values returns every setting by dotted key.
func (r Resolved) Values() map[string]any { return values(r.Config) }

// Origin returns where a setting's value comes from.
func (r Resolved) Origin(key string) string { return r.origins[key] }
