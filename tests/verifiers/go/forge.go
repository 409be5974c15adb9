package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
)

var base64url = base64.RawURLEncoding

// Returns the token with another signature of the same length.
func broken(token string) string {
	at := strings.LastIndex(token, ".") + 1
	signature, _ := base64url.DecodeString(token[at:])
	signature[len(signature)/2] ^= 1
	return token[:at] + base64url.EncodeToString(signature)
}

// Returns the token with another subject, under the original signature.
func altered(token string) string {
	parts := strings.Split(token, ".")
	claims := decode(parts[1])
	claims["sub"] = "somebody-else"
	parts[1] = encode(claims)
	return strings.Join(parts, ".")
}

// Returns the same claims without a signature.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	header := decode(parts[0])
	header["alg"] = "none"
	return encode(header) + "." + parts[1] + "."
}

// Returns the same claims signed by HMAC with public data: the published key.
func confused(token string, published []byte) string {
	parts := strings.Split(token, ".")
	header := decode(parts[0])
	header["alg"] = "HS256"
	return signedBySecret(header, parts[1], published)
}

func signedBySecret(header map[string]any, claims string, secret []byte) string {
	text := encode(header) + "." + claims
	code := hmac.New(sha256.New, secret)
	code.Write([]byte(text))
	return text + "." + base64url.EncodeToString(code.Sum(nil))
}

func decode(part string) map[string]any {
	text, _ := base64url.DecodeString(part)
	var members map[string]any
	_ = json.Unmarshal(text, &members)
	return members
}

func encode(members map[string]any) string {
	text, _ := json.Marshal(members)
	return base64url.EncodeToString(text)
}
