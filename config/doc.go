// Package config reads keyferry.yaml and the app settings, and reports every fault of both at once.
//
// The file says what is to be done and holds no secret. App settings say where this app runs, carry the few
// credentials there are, and win over the file. Nothing else of the environment is looked at.
package config
