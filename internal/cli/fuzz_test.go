package cli

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
)

// FuzzParseDirectory checks that whatever is said of a directory, it is refused or
// its labels are ones that series can have; and that they are what was written.
func FuzzParseDirectory(f *testing.F) {
	for _, text := range []string{
		"", "/run/app", "{}", "/run/app{}", `/run/app/web{app="web",tier="front"}`, ` /run/a b { app = "web" , } `, `/run/app{app="web"`, `/run/app"}`,
		`/run/app{app=web}`, "/run/app{app=`web`}", `/run/app{app='w'}`, `/run/app{="web"}`, `/run/app{app=""}`, `/run/app{app="\xff"}`, "/run/app{app=\"\xff\"}",
		`/run/app{app="a\"b\\c\n\u00e9{}"}`, `/run/app{a="1",a="2"}`, `/run/app{le="1"}`, `/run/app{pid="1"}`, `/run/app{__name__="x"}`, `/run/app{a="1" b="2"}`,
		`/run/{x}/app{a="1"}`, `/run/app{a="1",,b="2"}`, `/run/app{a="1"}}`, `/run/app{,}`, `{a="1"}`, "/run/app{a.b=\"1\"}", "/run/app{\u00e9=\"1\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir, err := parseDirectory(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error that says nothing")
			}
			return
		}
		if !strings.HasPrefix(text, dir.Path) || dir.Path == "" && dir.Labels != nil {
			t.Fatalf("%q is directory %q", text, dir.Path)
		}
		if behind := text[len(dir.Path):]; dir.Labels == nil && behind != "" && strings.TrimSpace(behind[1:len(behind)-1]) != "" {
			t.Fatalf("%q has no labels", text)
		}
		seen := map[string]bool{"le": true, "quantile": true, "pid": true}
		again := dir.Path
		for i, label := range dir.Labels {
			if seen[label.Name] || !model.LegacyValidation.IsValidLabelName(label.Name) || strings.HasPrefix(label.Name, model.ReservedLabelPrefix) ||
				label.Value == "" || !utf8.ValidString(label.Value) {
				t.Fatalf("%q has label %+v", text, label)
			}
			seen[label.Name] = true
			if !strings.Contains(text, label.Name) {
				t.Fatalf("%q has no label %q", text, label.Name)
			}
			again += map[bool]string{true: "{", false: ","}[i == 0] + label.Name + "=" + strconv.Quote(label.Value)
		}
		if dir.Labels != nil {
			again += "}"
		} else if strings.Contains(again, "{") {
			return // what comes after is a part of the path
		}
		got, err := parseDirectory(again)
		if diff := cmp.Diff(dir, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%q is not what %q is: %v\n%s", again, text, err, diff)
		}
	})
}
