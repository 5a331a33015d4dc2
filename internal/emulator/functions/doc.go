// Package functions emulates the Azure Functions host for one app whose functions run in a custom handler.
//
// It reads host.json and the function.json folders of the app, starts the handler as a child process (or talks to one that
// listens already), and speaks the contract of that host to it: port hand-over, readiness probe, the invocation envelope with
// its odd value encoding, the rules about answers, proxied HTTP, restarts by exit code, and SIGKILL where others would ask
// politely. Its front end takes what Event Grid, a browser or an operator would send to the app.
//
// It is strict where the real host is forgiving (an unknown property in function.json is an error) and awkward where the real
// host is awkward (a 2xx without content hangs until functionTimeout, and then the handler dies with everything in flight).
//
// The source of each rule is facts/functions-host.md; section numbers in comments are of that page. Known gaps: retry policies
// and runOnStartup are refused, timers fire only through Tick, streaming has no inactivity limit, and a handler never sees
// more than one host.
package functions
