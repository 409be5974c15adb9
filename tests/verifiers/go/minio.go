package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"
)

// The MinIO server, as a separate process, and its client library: a token is exchanged for credentials that its policy
// limits.
func storage(given *given) {
	var server *minioServer
	check("minio: a server of its own starts with the environment that the docs give", func() (err error) {
		server, err = startMinio(given)
		return err
	})
	if server == nil {
		return
	}
	defer server.stop()
	token := given.Tokens["minio"]

	check("minio: takes the token, for what its policy allows", func() error {
		client, err := server.client(token)
		if err != nil {
			return err
		}
		ctx := context.Background()
		if err := client.MakeBucket(ctx, "live", minio.MakeBucketOptions{}); err != nil {
			return err
		}
		text := []byte("hi")
		if _, err := client.PutObject(ctx, "live", "hello", bytes.NewReader(text), 2, minio.PutObjectOptions{}); err != nil {
			return err
		}
		object, err := client.GetObject(ctx, "live", "hello", minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		got, err := io.ReadAll(object)
		if err != nil || !bytes.Equal(got, text) {
			return fmt.Errorf("it gives %q: %w", got, err)
		}
		return nil
	})

	judge := func(token string) error {
		_, err := server.exchange(token)
		return err
	}
	jwks, _ := given.fetch("/.well-known/jwks.json")
	checkRefusals("minio", judge, []refusal{
		{"a token for another audience", given.Tokens["minio-elsewhere"], "must match configured OpenID Client ID"},
		{"a token of another bridge with the same key", given.Tokens["kubernetes"], "must match configured OpenID Client ID"},
		{"a token of another bridge with another key", given.Tokens["vault"], "No public key found"},
		{"an access token", given.AccessToken, "must match configured OpenID Client ID"},
		{"an ID token", given.IDToken, "must match configured OpenID Client ID"},
		{"a broken signature", broken(token), "verification error"},
		{"an altered token", altered(token), "verification error"},
		{"a token without a signature", unsigned(token), "'none' signature type is not allowed"},
		{"a token that is signed with the published keys", confused(token, jwks), "key is of invalid type"},
		{"a token that is signed with no client secret", withSecret(token, ""), "signature is invalid"},
		// Its audience is wrong, too, but MinIO checks that later.
		{"an expired token", given.expired("minio-brief"), "expired"},
	})
}

// The token as a holder of MinIO's client secret could forge it: MinIO keeps the secret under the client id, as one
// more key.
func withSecret(token, secret string) string {
	claims := strings.Split(token, ".")[1]
	return signedBySecret(map[string]any{"alg": "HS256", "typ": "JWT", "kid": decode(claims)["aud"]}, claims, []byte(secret))
}
