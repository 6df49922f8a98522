package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

// clearEnvironment removes the program's settings from the environment until
// the test ends.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, "GME_") && name != rubyVariable && name != pythonVariable {
			continue
		}
		t.Setenv(name, value) // puts it back when the test ends
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

// parse returns the settings of a command line and an environment.
func parse(t *testing.T, environment map[string]string, args ...string) *settings {
	t.Helper()
	clearEnvironment(t)
	for name, value := range environment {
		t.Setenv(name, value)
	}
	s := &settings{}
	app := kingpin.New(Name, "")
	s.flags(app.Command("serve", "").Default())
	if _, err := app.Parse(args); err != nil {
		t.Fatalf("%q with %v: %v", args, environment, err)
	}
	return s
}
