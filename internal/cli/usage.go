package cli

// usageTemplate is the layout of all help texts: how to call it, what it does,
// its arguments and flags, the other commands.
const usageTemplate = `{{define "FormatCommand" -}}
{{if .FlagSummary}} {{.FlagSummary}}{{end -}}
{{range .Args}}{{if not .Hidden}} {{if not .Required}}[{{end}}{{if .PlaceHolder}}{{.PlaceHolder}}{{else}}<{{.Name}}>{{end}}{{if .Value|IsCumulative}}...{{end}}{{if not .Required}}]{{end}}{{end}}{{end -}}
{{end -}}

{{define "FormatUsage" -}}
{{template "FormatCommand" .}}{{if .Commands}} [<command>] [<arguments>]{{end}}
{{if .Help}}
{{.Help}}
{{end -}}
{{end -}}

{{if .Context.SelectedCommand -}}
usage: {{.App.Name}} {{.Context.SelectedCommand}}{{template "FormatCommand" .Context.SelectedCommand}}

{{if .Context.SelectedCommand.HelpLong}}{{.Context.SelectedCommand.HelpLong}}{{else}}{{.Context.SelectedCommand.Help}}{{end}}
{{else -}}
usage: {{.App.Name}}{{template "FormatUsage" .App}}
{{end}}
{{if not .Context.SelectedCommand -}}
Commands (NAME --help says more of each; serve is meant where none is named):
{{range .App.Commands}}{{if not .Hidden}}
  {{.Name}}{{range .Args}}{{if not .Required}} [{{end}}{{if .Required}} {{end}}<{{.Name}}>{{if .Value|IsCumulative}}...{{end}}{{if not .Required}}]{{end}}{{end}}
      {{.Help}}
{{end}}{{end}}
{{end -}}
{{if .Context.Args}}Arguments:
{{.Context.Args|ArgsToTwoColumns|FormatTwoColumns}}
{{end -}}
{{if .Context.Flags}}Flags:
{{.Context.Flags|FlagsToTwoColumns|FormatTwoColumns}}
{{end -}}
`
