// Package alert tells people and their tools what Keyferry cannot settle by itself: a secret that somebody must rotate
// by hand, a conflict, a fuse that tripped.
//
// An Alert is sent through a Sink: a custom topic of Azure Event Grid (Topic), an HTTPS endpoint (Webhook), the log
// (Log), or several of them (All). Delivery is at least once, and the ID of an alert stays the same however often it
// is sent, so that receivers can drop duplicates. An alert holds no secret value.
package alert
