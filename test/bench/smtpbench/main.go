// smtpbench drives and terminates SMTP load, with or without STARTTLS (TLS 1.3, X25519 pinned, so that no peer is measured
// by its library's choice of key exchange).
//
//	smtpbench source -to 127.0.0.1:2525 -seconds 10 -c 50 -per 10 -size 10240 -run a- [-starttls] [-pipeline]
//	smtpbench sink   -listen 127.0.0.1:2626 -run a- -stats FILE -cert PEM -key PEM [-starttls]
//
// The source gives every message an id ("X-Bench-Id: <run><n>"); the sink counts the ids that it answered with 250, so that
// lost and duplicated messages are known. Both print JSON.
package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "source" {
		source(os.Args[2:])
	} else if len(os.Args) > 1 && os.Args[1] == "sink" {
		sink(os.Args[2:])
	} else {
		die(fmt.Errorf("usage: smtpbench source|sink [flags]"))
	}
}

func pinned(cfg *tls.Config) *tls.Config {
	cfg.MinVersion, cfg.CurvePreferences = tls.VersionTLS13, []tls.CurveID{tls.X25519}
	return cfg
}

func facts(s tls.ConnectionState) string {
	return fmt.Sprintf("%s %s %s", tls.VersionName(s.Version), s.CurveID, tls.CipherSuiteName(s.CipherSuite))
}

func cpuMs() float64 {
	var u syscall.Rusage
	die(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
