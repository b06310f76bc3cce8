package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type seen struct {
	sync.Mutex
	cfg         *tls.Config
	starttls    bool
	run         string
	ids         map[string]int
	order       []int // numbers of the ids as they came
	total       int
	other       int // of other runs, of a warm-up say
	bytes       int64
	connections int
	tls         string
	last        time.Time
	open        map[net.Conn]bool
}

// sink takes everything. SIGUSR1 takes it off the network, SIGUSR2 brings it back: a next hop that is down.
func sink(args []string) {
	fs := flag.NewFlagSet("sink", flag.ExitOnError)
	s := &seen{ids: map[string]int{}, open: map[net.Conn]bool{}}
	listen := fs.String("listen", "127.0.0.1:2626", "")
	fs.BoolVar(&s.starttls, "starttls", false, "offer STARTTLS")
	fs.StringVar(&s.run, "run", "", "count only ids that begin with this")
	stats := fs.String("stats", "", "rewrite this file with the counts, five times a second")
	certFile := fs.String("cert", "", "")
	keyFile := fs.String("key", "", "")
	fs.Parse(args)
	cert, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	die(err)
	s.cfg = pinned(&tls.Config{Certificates: []tls.Certificate{cert}})
	ln := s.listen(*listen)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	for tick := time.Tick(200 * time.Millisecond); ; {
		select {
		case <-tick:
			s.report(*stats)
		case got := <-signals:
			switch got {
			case syscall.SIGUSR1:
				ln.Close()
				s.closeAll()
			case syscall.SIGUSR2:
				ln = s.listen(*listen)
			default:
				s.report(*stats)
				return
			}
		}
	}
}

func (s *seen) listen(address string) net.Listener {
	ln, err := net.Listen("tcp", address)
	die(err)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return ln
}

func (s *seen) closeAll() {
	s.Lock()
	defer s.Unlock()
	for c := range s.open {
		c.Close()
	}
}

func (s *seen) report(path string) {
	s.Lock()
	displaced := 0
	for at, n := range s.order {
		displaced += max(at+1-n, n-at-1)
	}
	b, err := json.Marshal(map[string]any{"distinct": len(s.ids), "duplicates": s.total - len(s.ids), "other": s.other, "bytes": s.bytes,
		"connections": s.connections, "tls": s.tls, "lastMs": s.last.UnixMilli(), "cpuMs": cpuMs(), "displacement": float64(displaced) / float64(max(len(s.order), 1))})
	s.Unlock()
	die(err)
	die(os.WriteFile(path+".new", b, 0o644))
	die(os.Rename(path+".new", path))
}

func (s *seen) serve(raw net.Conn) {
	s.Lock()
	s.connections++
	s.open[raw] = true
	s.Unlock()
	defer func() {
		raw.Close()
		s.Lock()
		delete(s.open, raw)
		s.Unlock()
	}()
	var c net.Conn = raw
	r, w := bufio.NewReaderSize(c, 32<<10), bufio.NewWriter(c)
	say := func(line string) {
		w.WriteString(line + "\r\n")
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
	say("220 sink ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch verb {
		case "EHLO":
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n")
			if s.starttls && c == raw {
				w.WriteString("250-STARTTLS\r\n")
			}
			say("250 DSN")
		case "STARTTLS":
			say("220 2.0.0 ready")
			t := tls.Server(raw, s.cfg)
			if t.Handshake() != nil {
				return
			}
			s.Lock()
			s.tls = facts(t.ConnectionState())
			s.Unlock()
			c = t
			r, w = bufio.NewReaderSize(c, 32<<10), bufio.NewWriter(c)
		case "HELO", "MAIL", "RCPT", "NOOP", "RSET":
			say("250 2.0.0 ok")
		case "DATA":
			say("354 go")
			id, n, err := body(r)
			if err != nil {
				return
			}
			s.count(id, n)
			say("250 2.0.0 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 5.5.1 no")
		}
	}
}

func body(r *bufio.Reader) (id string, n int64, err error) {
	inHeader := true
	for {
		line, err := r.ReadSlice('\n')
		n += int64(len(line))
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil || string(line) == ".\r\n" {
			return id, n, err
		}
		if inHeader && len(line) <= 2 {
			inHeader = false
		} else if inHeader && len(line) > 12 && strings.EqualFold(string(line[:11]), "X-Bench-Id:") {
			id = strings.TrimSpace(string(line[11:]))
		}
	}
}

func (s *seen) count(id string, n int64) {
	s.Lock()
	defer s.Unlock()
	if !strings.HasPrefix(id, s.run) {
		s.other++
		return
	}
	s.total++
	s.bytes += n
	s.last = time.Now()
	if s.ids[id]++; s.ids[id] == 1 {
		number, _ := strconv.Atoi(id[len(s.run):])
		s.order = append(s.order, number)
	}
}
