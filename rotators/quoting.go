package rotators

import "strings"

// quoted puts a text between quotes, the closing one doubled inside. That is an identifier of PostgreSQL (" and ") or SQL
// Server ([ and ]), and a literal (' and ') where backslashes mean nothing: always in SQL Server, and in MariaDB and
// MySQL once sql_mode is NO_BACKSLASH_ESCAPES.
func quoted(text, left, right string) string {
	return left + strings.ReplaceAll(text, right, right+right) + right
}

// literal is a text as SQL, see quoted.
func literal(text string) string { return quoted(text, "'", "'") }
