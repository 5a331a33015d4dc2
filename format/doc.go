// Package format knows where a password, and with it a user, stands inside a secret's value. It finds them and
// replaces them in place; it never rebuilds a value, so everything else stays byte for byte as it was
// (facts/rotation.md 6.9).
//
//	raw                     the whole value is the password; there is no user
//	json:/password          the text at a JSON pointer (RFC 6901)
//	json:/password,user=/u  and the user at another
//	json:/conn+url          the text at a pointer is itself a value of the format after the plus sign
//	url                     scheme://user:password@..., percent-encoded (RFC 3986)
//	ado                     Password=...;User ID=..., values quoted by "" or '' (DbConnectionStringBuilder)
//	odbc                    PWD=...;UID=..., values in braces ([MS-ODBCSTR])
//	libpq                   password=... user=..., values quoted by single quotes, with backslashes (libpq, 34.1.1.1)
//	dsn                     user:password@proto(address)/db?params, nothing escaped (go-sql-driver/mysql)
//
// A value is refused unless its password is found exactly once: a second place of the format (two Password keys, a
// password in the query of a URL), a JSON object with a key twice, or the same password as a word of its own in some
// other part (a member "url" beside "password") would go stale when only one is replaced. A weak password that is also
// the name of the database is refused for this reason; one that is also the user is not. Copies that are encoded
// otherwise than by percent signs or JSON are not seen.
//
// Errors name the place by the offset of a byte, or by the pointer of the format, and never quote the value.
package format
