package main

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type minioServer struct {
	address string
	stop    func()
}

// Starts MinIO with the docs' environment, read as a service manager does, without a shell, plus the secret that a
// command of the docs adds. The only other additions are this run's certificate and paths.
func startMinio(given *given) (*minioServer, error) {
	home := filepath.Join(given.work, "minio")
	if err := os.MkdirAll(filepath.Join(home, "certs", "CAs"), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(home, "certs", "CAs", "passmint.crt"), given.pem, 0o600); err != nil {
		return nil, err
	}
	address := os.Getenv("MINIO_ADDRESS")
	environment := []string{"HOME=" + home, "MINIO_ROOT_USER=" + rand.Text(), "MINIO_ROOT_PASSWORD=" + rand.Text(), "MINIO_BROWSER=off", "MINIO_UPDATE=off"}
	environment = append(environment, strings.Fields(given.OtherSide["minio"])...)
	environment = append(environment, "MINIO_IDENTITY_OPENID_CLIENT_SECRET="+rand.Text())
	stop, err := start(given, "minio", environment, os.Getenv("MINIO"), "server", "--quiet", "--address", address, "--certs-dir", filepath.Join(home, "certs"), filepath.Join(home, "data"))
	if err != nil {
		return nil, err
	}
	server := &minioServer{address, stop}
	err = until(60*time.Second, func() error {
		answer, err := http.Get("http://" + address + "/minio/health/live")
		if err != nil {
			return err
		}
		answer.Body.Close()
		// It answers before it has read its settings and then its policies; only later errors are its judgement of a token.
		_, err = server.exchange(given.Tokens["minio"])
		if err != nil && (strings.Contains(err.Error(), "being initialized") || strings.Contains(err.Error(), "None of the given policies")) {
			return err
		}
		return nil
	})
	if err != nil {
		stop()
		return nil, err
	}
	return server, nil
}

// Returns the credentials that the server's STS issues for a token.
func (s *minioServer) exchange(token string) (credentials.Value, error) {
	given, err := credentials.NewSTSWebIdentity("http://"+s.address, func() (*credentials.WebIdentityToken, error) {
		return &credentials.WebIdentityToken{Token: token}, nil
	})
	if err != nil {
		return credentials.Value{}, err
	}
	return given.GetWithContext(&credentials.CredContext{Client: http.DefaultClient, Endpoint: "http://" + s.address})
}

func (s *minioServer) client(token string) (*minio.Client, error) {
	value, err := s.exchange(token)
	if err != nil {
		return nil, err
	}
	return minio.New(s.address, &minio.Options{Creds: credentials.NewStatic(value.AccessKeyID, value.SecretAccessKey, value.SessionToken, credentials.SignatureV4)})
}
