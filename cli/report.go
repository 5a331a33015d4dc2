package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/vaultsync"
)

// output adds the flag of commands that print a report and returns the check of its value.
func output(c *cobra.Command) *string {
	return c.Flags().StringP("output", "o", "table", "how to print the report: table or json")
}

func checkOutput(o string) error {
	if o != "table" && o != "json" {
		return fmt.Errorf("%w: --output is table or json, not %q", secret.ErrUsage, o)
	}
	return nil
}

// verbs is the order in which a report counts.
var verbs = []vaultsync.Verb{
	vaultsync.Create, vaultsync.Update, vaultsync.Retag, vaultsync.Adopt, vaultsync.Cutover, vaultsync.Enable, vaultsync.Recover,
	vaultsync.Disable, vaultsync.Delete, vaultsync.Unchanged, vaultsync.Skip, vaultsync.Conflict, vaultsync.Failed,
}

// printReport prints one line for each secret that is not simply in order, then the counts, after the name of the
// command. A report about several Key Vaults says which one a line is about.
func printReport(w io.Writer, command string, r *vaultsync.Report, format string) error {
	if format == "json" {
		return printJSON(w, r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, i := range r.Items {
		why := string(i.Reason)
		if i.Verb == vaultsync.Conflict || i.Verb == vaultsync.Failed || i.Verb == vaultsync.Skip {
			why += ": " + i.Text
		}
		if len(i.Dropped) > 0 {
			why += " (no room for tags " + strings.Join(i.Dropped, ", ") + ")"
		}
		name := i.Name
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(t, "%s %s\t", i.Verb.Sigil(), printable(name))
		if i.Destination != "" {
			fmt.Fprintf(t, "%s\t", i.Destination)
		}
		fmt.Fprintf(t, "%s\t%s\n", printable(i.Source), printable(why))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", command, counts(r))
	for _, part := range r.Missing {
		fmt.Fprintf(w, "not covered: %s\n", printable(part))
	}
	return err
}

// counts is the last line of a report, without the name of the command.
func counts(r *vaultsync.Report) string {
	var parts []string
	for _, v := range verbs {
		if n := r.Counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing selected"}
	}
	line := strings.Join(parts, ", ") + " in " + r.Took
	if !r.Complete {
		line += ", incomplete"
	}
	return line
}

// printable shows control characters of names and paths escaped, so that none of them drives the terminal.
func printable(s string) string {
	for _, c := range s {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			q := fmt.Sprintf("%+q", s)
			return q[1 : len(q)-1]
		}
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
