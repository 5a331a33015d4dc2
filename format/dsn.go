package format

import (
	"errors"
	"fmt"
	"strings"
)

// locateDSN reads [user[:password]@][net[(addr)]]/dbname[?params] as ParseDSN of go-sql-driver/mysql does: the last
// slash ends the address, the last @ before it ends the password, the first colon ends the user. Nothing is escaped,
// so a password may hold anything and a user no colon.
func locateDSN(text string) (layout, error) {
	slash := strings.LastIndexByte(text, '/')
	if slash < 0 {
		return layout{}, errors.New("it has no slash before the name of the database")
	}
	at := strings.LastIndexByte(text[:slash], '@')
	if at < 0 {
		return layout{}, fmt.Errorf("%w: no @ before byte %d", errNoPassword, slash)
	}
	if open := strings.IndexByte(text[at:slash], '('); open >= 0 && text[slash-1] != ')' {
		return layout{}, fmt.Errorf("the address at byte %d has no closing parenthesis before the last slash", at+open)
	}
	colon := strings.IndexByte(text[:at], ':')
	if colon < 0 {
		return layout{}, fmt.Errorf("%w: no colon before byte %d", errNoPassword, at)
	}
	return layout{
		user:     place{0, colon, text[:colon]},
		password: place{colon + 1, at, text[colon+1 : at]},
		rest:     []place{{at + 1, len(text), text[at+1:]}},
	}, nil
}
