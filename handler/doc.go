// Package handler is the HTTP side of an Azure Functions custom handler: it turns the host's requests into typed calls, and
// what the calls return into answers the host understands. It decides nothing about secrets.
//
// Which answer follows from which outcome:
//
//	event or timer: nil error                        200 {"Logs":[...]}     nothing to retry
//	event or timer: error that may pass              500 {"error":{...}}    Event Grid redelivers; the sweep is behind it
//	event or timer: error that will not              200, logged as error   Event Grid cannot be told to stop
//	event that cannot be read, envelope likewise     200, Malformed called  a retry would bring the same bytes
//	event of another vault, of a key, a certificate  200 "not-ours"
//	HTTP function                                    the status of secret.HTTPStatus, or 202 when not finished
//	HTTP function inside an envelope                 500 with a hint: host.json lacks enableProxyingHttpRequest
//	HTTP body: not JSON 400, over 64 KiB 413, of another content type 415
//	wrong method 405, unknown function 404, function without an implementation 501, panic 500
//
// Every answer is application/json and a non-empty object: the host fails an invocation for anything else, and waits until
// functionTimeout for the rest of an empty one (facts/functions-host.md, section 3).
package handler
