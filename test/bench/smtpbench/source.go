package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type load struct {
	to, run          string
	starttls         bool
	pipeline         bool
	per              int
	body             []byte
	until            time.Time
	most             int64
	cfg              *tls.Config
	next             atomic.Int64
	mu               sync.Mutex
	latencies        []float64
	errors           map[string]int
	failed, sessions int
	tls              string
}

func source(args []string) {
	fs := flag.NewFlagSet("source", flag.ExitOnError)
	l := &load{errors: map[string]int{}, cfg: pinned(&tls.Config{InsecureSkipVerify: true, ServerName: "localhost", DynamicRecordSizingDisabled: true})}
	fs.StringVar(&l.to, "to", "127.0.0.1:2525", "")
	fs.StringVar(&l.run, "run", "", "prefix of the ids")
	fs.BoolVar(&l.starttls, "starttls", false, "")
	fs.BoolVar(&l.pipeline, "pipeline", false, "MAIL, RCPT and DATA in one write")
	fs.IntVar(&l.per, "per", 10, "messages per connection")
	conns := fs.Int("c", 50, "connections")
	size := fs.Int("size", 10240, "bytes of a body")
	seconds := fs.Float64("seconds", 10, "no message begins after this")
	fs.Int64Var(&l.most, "n", 1<<62, "messages at most")
	fs.Parse(args)
	// About one line in a hundred begins with a dot.
	lines := strings.Repeat(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 99)+"."+strings.Repeat("x", 69)+"\r\n", *size/7200+1)
	l.body = []byte(lines[:*size/72*72])
	start := time.Now()
	l.until = start.Add(time.Duration(*seconds * float64(time.Second)))
	var wg sync.WaitGroup
	for range *conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l.work()
		}()
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	sort.Float64s(l.latencies)
	q := func(p float64) float64 {
		if len(l.latencies) == 0 {
			return 0
		}
		return l.latencies[min(len(l.latencies)-1, int(p*float64(len(l.latencies))))]
	}
	b, _ := json.Marshal(map[string]any{"accepted": len(l.latencies), "sessions": l.sessions, "failed": l.failed, "errors": l.errors,
		"seconds": took, "startMs": start.UnixMilli(), "p50Ms": q(.5), "p99Ms": q(.99), "tls": l.tls, "cpuMs": cpuMs()})
	fmt.Println(string(b))
}

func (l *load) open() bool { return time.Now().Before(l.until) && l.next.Load() < l.most }

func (l *load) work() {
	for l.open() {
		latencies, err := l.session()
		l.mu.Lock()
		l.sessions++
		l.latencies = append(l.latencies, latencies...)
		if err != nil {
			l.failed++
			l.errors[err.Error()]++
		}
		l.mu.Unlock()
		if err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

type peer struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func (p *peer) over(c net.Conn) {
	p.Conn, p.r, p.w = c, bufio.NewReader(c), bufio.NewWriterSize(c, 64<<10)
}

func (p *peer) expect(code string) error {
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return err
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, code) {
			return fmt.Errorf("want %s, got %.60s", code, strings.TrimSpace(line))
		}
		return nil
	}
}

func (p *peer) say(code, line string) error {
	p.w.WriteString(line + "\r\n")
	if err := p.w.Flush(); err != nil {
		return err
	}
	return p.expect(code)
}

// envelope speaks up to the reply to DATA, line by line or, with -pipeline, in one write (RFC 2920).
func (l *load) envelope(p *peer, user int64) error {
	steps := [][2]string{{"250", "MAIL FROM:<sender@bench.example>"}, {"250", fmt.Sprintf("RCPT TO:<user%d@dest.example>", user)}, {"354", "DATA"}}
	if !l.pipeline {
		for _, step := range steps {
			if err := p.say(step[0], step[1]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, step := range steps {
		p.w.WriteString(step[1] + "\r\n")
	}
	if err := p.w.Flush(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := p.expect(step[0]); err != nil {
			return err
		}
	}
	return nil
}

// session sends up to `per` messages over one connection; gives the latency of each 250 in ms, from its MAIL FROM.
func (l *load) session() (latencies []float64, err error) {
	c, err := net.DialTimeout("tcp", l.to, 10*time.Second)
	if err != nil {
		return nil, err
	}
	p := &peer{}
	p.over(c)
	defer func() { p.Close() }()
	c.SetDeadline(time.Now().Add(120 * time.Second))
	if err = p.expect("220"); err != nil {
		return
	}
	if err = p.say("250", "EHLO bench.example"); err != nil {
		return
	}
	if l.starttls {
		if err = p.say("220", "STARTTLS"); err != nil {
			return
		}
		t := tls.Client(c, l.cfg)
		if err = t.Handshake(); err != nil {
			return
		}
		l.mu.Lock()
		l.tls = facts(t.ConnectionState())
		l.mu.Unlock()
		p.over(t)
		if err = p.say("250", "EHLO bench.example"); err != nil {
			return
		}
	}
	for n := 0; n < l.per && l.open(); n++ {
		i := l.next.Add(1)
		start := time.Now()
		if err = l.envelope(p, i%100); err != nil {
			return
		}
		id := fmt.Sprintf("%s%d", l.run, i)
		fmt.Fprintf(p.w, "From: sender@bench.example\r\nTo: user@dest.example\r\nSubject: bench\r\nMessage-ID: <%s@bench.example>\r\n"+
			"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nX-Bench-Id: %s\r\n\r\n", id, id)
		for rest := l.body; len(rest) > 0; rest = rest[7200:] {
			if len(rest) <= 7200 {
				p.w.Write(rest)
				break
			}
			p.w.Write(rest[:7128])
			p.w.WriteByte('.') // stuffs the line that begins with a dot
			p.w.Write(rest[7128:7200])
		}
		if err = p.say("250", "."); err != nil {
			return
		}
		latencies = append(latencies, float64(time.Since(start).Microseconds())/1000)
	}
	return latencies, p.say("221", "QUIT")
}
