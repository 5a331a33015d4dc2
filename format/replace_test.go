package format_test

import (
	"testing"

	"github.com/keyferry/keyferry/secret"
)

// hostile is a password of everything that means something to a format.
const hostile = ` $%;={}@:/?#'"\&+~ü` + "\u00a0\t€😀-x\\"

// TestReplace states for each format what is found and, byte for byte, what takes its place. In the wanted values one
// "new" is written for "Next-1" and one for hostile.
func TestReplace(t *testing.T) {
	for _, c := range []struct {
		name, spec, value string
		user, password    string
		plain             string // with the password Next-1 and, where there is a user, the user app_2
		hostile           string // with the password hostile and the user kept
	}{
		{name: "raw", spec: "raw", value: " old\n", password: " old\n", plain: "Next-1", hostile: hostile},

		{name: "url", spec: "url", value: "postgres://app:0ld@db.local:5432/app?sslmode=require&x=%2f#f", user: "app", password: "0ld",
			plain:   "postgres://app_2:Next-1@db.local:5432/app?sslmode=require&x=%2f#f",
			hostile: "postgres://app:%20%24%25%3B%3D%7B%7D%40%3A%2F%3F%23%27%22%5C%26%2B~%C3%BC%C2%A0%09%E2%82%AC%F0%9F%98%80-x%5C@db.local:5432/app?sslmode=require&x=%2f#f"},
		{name: "url, escapes kept in the user", spec: "url", value: "amqps://a%70p:p%40s+s:x@h1,h2/%2f", user: "app", password: "p@s+s:x",
			plain:   "amqps://app_2:Next-1@h1,h2/%2f",
			hostile: "amqps://a%70p:%20%24%25%3B%3D%7B%7D%40%3A%2F%3F%23%27%22%5C%26%2B~%C3%BC%C2%A0%09%E2%82%AC%F0%9F%98%80-x%5C@h1,h2/%2f"},
		{name: "url without a path", spec: "url", value: "mongodb+srv://u:p^w@[::1]", user: "u", password: "p^w",
			plain:   "mongodb+srv://app_2:Next-1@[::1]",
			hostile: "mongodb+srv://u:%20%24%25%3B%3D%7B%7D%40%3A%2F%3F%23%27%22%5C%26%2B~%C3%BC%C2%A0%09%E2%82%AC%F0%9F%98%80-x%5C@[::1]"},
		{name: "url, password equal to the user", spec: "url", value: "mysql://app:app@h/d", user: "app", password: "app",
			plain:   "mysql://app_2:Next-1@h/d",
			hostile: "mysql://app:%20%24%25%3B%3D%7B%7D%40%3A%2F%3F%23%27%22%5C%26%2B~%C3%BC%C2%A0%09%E2%82%AC%F0%9F%98%80-x%5C@h/d"},

		{name: "ado", spec: "ado", value: "Server=tcp:h,1433; User ID = app ;PASSWORD=o;Encrypt=True;;", user: "app", password: "o",
			plain:   "Server=tcp:h,1433; User ID = app_2 ;PASSWORD=Next-1;Encrypt=True;;",
			hostile: "Server=tcp:h,1433; User ID = app ;PASSWORD=\" $%;={}@:/?#'\"\"\\&+~ü\u00a0\t€😀-x\\\";Encrypt=True;;"},
		{name: "ado, quoted", spec: "ado", value: `pwd= "o;""l'd" ;uid='a''p"p'`, user: `a'p"p`, password: `o;"l'd`,
			plain:   `pwd= Next-1 ;uid=app_2`,
			hostile: "pwd= \" $%;={}@:/?#'\"\"\\&+~ü\u00a0\t€😀-x\\\" ;uid='a''p\"p'"},
		{name: "ado, equal signs", spec: "ado", value: "a==b=c;Password=x=y==z;User=u", user: "u", password: "x=y==z",
			plain:   "a==b=c;Password=Next-1;User=app_2",
			hostile: "a==b=c;Password=\" $%;={}@:/?#'\"\"\\&+~ü\u00a0\t€😀-x\\\";User=u"},

		{name: "odbc", spec: "odbc", value: "Driver={ODBC Driver 18; x};Server=h;Uid=app;Pwd={o;}}l{d};", user: "app", password: "o;}l{d",
			plain:   "Driver={ODBC Driver 18; x};Server=h;Uid=app_2;Pwd=Next-1;",
			hostile: "Driver={ODBC Driver 18; x};Server=h;Uid=app;Pwd={ $%;={}}@:/?#'\"\\&+~ü\u00a0\t€😀-x\\};"},
		{name: "odbc, no braces", spec: "odbc", value: `UID=a"p;PWD='o=l}d'`, user: `a"p`, password: `'o=l}d'`,
			plain:   "UID=app_2;PWD=Next-1",
			hostile: "UID=a\"p;PWD={ $%;={}}@:/?#'\"\\&+~ü\u00a0\t€😀-x\\}"},

		{name: "libpq", spec: "libpq", value: "host=h  user = app\n password = old dbname=d", user: "app", password: "old",
			plain:   "host=h  user = app_2\n password = Next-1 dbname=d",
			hostile: "host=h  user = app\n password = ' $%;={}@:/?#\\'\"\\\\&+~ü\u00a0\t€😀-x\\\\' dbname=d"},
		{name: "libpq, quoted", spec: "libpq", value: `password='o \'l\\d\x' user=a\ b'c sslpassword=other`, user: "a b'c", password: `o 'l\dx`,
			plain:   `password=Next-1 user=app_2 sslpassword=other`,
			hostile: "password=' $%;={}@:/?#\\'\"\\\\&+~ü\u00a0\t€😀-x\\\\' user=a\\ b'c sslpassword=other"},

		{name: "dsn", spec: "dsn", value: "app:0l:d/@!@tcp(h:3306)/db?parseTime=true", user: "app", password: "0l:d/@!",
			plain: "app_2:Next-1@tcp(h:3306)/db?parseTime=true", hostile: "app:" + hostile + "@tcp(h:3306)/db?parseTime=true"},
		{name: "dsn, socket", spec: "dsn", value: "app@srv:old@unix(/tmp/mysql.sock)/", user: "app@srv", password: "old",
			plain: "app_2:Next-1@unix(/tmp/mysql.sock)/", hostile: "app@srv:" + hostile + "@unix(/tmp/mysql.sock)/"},
		{name: "dsn, no address", spec: "dsn", value: "app:old@/db", user: "app", password: "old",
			plain: "app_2:Next-1@/db", hostile: "app:" + hostile + "@/db"},

		{name: "json", spec: "json:/password,user=/username",
			value: "{ \"username\":\"app\",\r\n\t\"password\" : \"o\\u006cd\\n\", \"port\":5432.0e0, \"\\u0041\":[1,null,\"\\/\"]}\n", user: "app", password: "old\n",
			plain:   "{ \"username\":\"app_2\",\r\n\t\"password\" : \"Next-1\", \"port\":5432.0e0, \"\\u0041\":[1,null,\"\\/\"]}\n",
			hostile: "{ \"username\":\"app\",\r\n\t\"password\" : \" $%;={}@:/?#'\\\"\\\\&+~ü\u00a0\\u0009€😀-x\\\\\", \"port\":5432.0e0, \"\\u0041\":[1,null,\"\\/\"]}\n"},
		{name: "json, nested", spec: "json:/d~1b/1/~0,user=/d~1b/0", value: `{"d/b":["ü",{"~":"\ud83d\ude00\b\f\n\r\t\"\\\/","":""}]}`, user: "ü", password: "😀\b\f\n\r\t\"\\/",
			plain:   `{"d/b":["app_2",{"~":"Next-1","":""}]}`,
			hostile: "{\"d/b\":[\"ü\",{\"~\":\" $%;={}@:/?#'\\\"\\\\&+~ü\u00a0\\u0009€😀-x\\\\\",\"\":\"\"}]}"},
		{name: "json, weak password that is also a key and a part of a name", spec: "json:/password",
			value: `{"password":"password","host":"my-password.local"}`, password: "password",
			plain:   `{"password":"Next-1","host":"my-password.local"}`,
			hostile: "{\"password\":\" $%;={}@:/?#'\\\"\\\\&+~ü\u00a0\\u0009€😀-x\\\\\",\"host\":\"my-password.local\"}"},
		{name: "json with a url", spec: "json:/c+url", value: `{"c":"redis:\/\/\u0061pp:o%3Dld@h\/0?\ud83d\ude00=1"}`, user: "app", password: "o=ld",
			plain:   `{"c":"redis:\/\/app_2:Next-1@h\/0?\ud83d\ude00=1"}`,
			hostile: `{"c":"redis:\/\/\u0061pp:%20%24%25%3B%3D%7B%7D%40%3A%2F%3F%23%27%22%5C%26%2B~%C3%BC%C2%A0%09%E2%82%AC%F0%9F%98%80-x%5C@h\/0?\ud83d\ude00=1"}`},
		{name: "json with ado", spec: "json:/c+ado", value: `{"c":"Password=\"o\"\"ld\";UID=app"}`, user: "app", password: `o"ld`,
			plain:   `{"c":"Password=Next-1;UID=app_2"}`,
			hostile: "{\"c\":\"Password=\\\" $%;={}@:/?#'\\\"\\\"\\\\&+~ü\u00a0\\u0009€😀-x\\\\\\\";UID=app\"}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, value := parse(t, c.spec), secret.New(c.value)
			got, err := f.Find(value)
			if err != nil {
				t.Fatal(err)
			}
			if got.User != c.user || got.Password.Reveal() != c.password {
				t.Errorf("found %q %q, want %q %q", got.User, got.Password.Reveal(), c.user, c.password)
			}
			user := ""
			if c.user != "" {
				user = "app_2"
			}
			for _, r := range []struct{ user, password, want string }{
				{user, "Next-1", c.plain},
				{"", hostile, c.hostile},
				{c.user, hostile, c.hostile},
			} {
				v, err := f.Replace(value, r.user, secret.New(r.password))
				if err != nil {
					t.Fatal(err)
				}
				if v.Reveal() != r.want {
					t.Errorf("replaced by %q %q:\n got %q\nwant %q", r.user, r.password, v.Reveal(), r.want)
				}
				mustFind(t, f, v, or(r.user, c.user), r.password)
			}
		})
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
