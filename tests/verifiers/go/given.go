package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What ../mint.mjs wrote, and what ../run says about the server.
type given struct {
	Origin      string
	User        string
	Tokens      map[string]string
	AccessToken string
	IDToken     string
	OtherSide   map[string]string
	work        string
	certificate string
	pem         []byte
}

func read() (*given, error) {
	g := &given{work: os.Getenv("WORK"), certificate: os.Getenv("CERTIFICATE")}
	text, err := os.ReadFile(filepath.Join(g.work, "tokens.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, g); err != nil {
		return nil, err
	}
	g.pem, err = os.ReadFile(g.certificate)
	return g, err
}

// Waits until a short-lived token has expired, and returns it.
func (g *given) expired(bridge string) string {
	token := g.Tokens[bridge]
	end, _ := decode(strings.Split(token, ".")[1])["exp"].(float64)
	time.Sleep(time.Until(time.Unix(int64(end)+1, 0)))
	return token
}

// Fetches a document that the server publishes.
func (g *given) fetch(path string) ([]byte, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(g.pem)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 10 * time.Second}
	answer, err := client.Get(g.Origin + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}
