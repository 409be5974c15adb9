package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	api "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// The API server's JWT authenticator, with the file that `--authentication-config` names.
func kubernetes(given *given) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var authenticator authenticator.Token
	check("kubernetes: the API server reads the configuration, and finds the keys by discovery", func() (err error) {
		authenticator, err = apiServer(ctx, given, "kubernetes")
		return err
	})
	if authenticator == nil {
		return
	}
	judge := func(token string) error {
		_, taken, err := authenticator.AuthenticateToken(ctx, token)
		if err == nil && !taken {
			return fmt.Errorf("not a token of this issuer")
		}
		return err
	}
	token := given.Tokens["kubernetes"]

	check("kubernetes: takes the token, for the person and the groups, with the prefixes", func() error {
		answer, taken, err := authenticator.AuthenticateToken(ctx, token)
		if err != nil || !taken {
			return fmt.Errorf("taken: %t, %w", taken, err)
		}
		if name := answer.User.GetName(); name != "passmint:"+given.User {
			return fmt.Errorf("the name is %s", name)
		}
		if groups := answer.User.GetGroups(); !slices.Equal(groups, []string{"passmint:k8s-readers"}) {
			return fmt.Errorf("the groups are %v", groups)
		}
		return nil
	})

	check("kubernetes: takes the token of kubernetes-rs256", func() error {
		other, err := apiServer(ctx, given, "kubernetes-rs256")
		if err != nil {
			return err
		}
		_, taken, err := other.AuthenticateToken(ctx, given.Tokens["kubernetes-rs256"])
		if err != nil || !taken {
			return fmt.Errorf("taken: %t, %w", taken, err)
		}
		return nil
	})

	jwks, _ := given.fetch("/.well-known/jwks.json")
	checkRefusals("kubernetes", judge, []refusal{
		{"a token for another audience", given.Tokens["kubernetes-elsewhere"], "audience"},
		{"a token of another issuer", given.Tokens["vault-stranger"], "not a token of this issuer"},
		{"a token of another bridge with the same key", given.Tokens["minio"], "audience"},
		{"a token of another bridge with another key", given.Tokens["vault"], "failed to verify signature"},
		{"an access token", given.AccessToken, "audience"},
		{"an ID token", given.IDToken, "audience"},
		{"a broken signature", broken(token), "failed to verify signature"},
		{"an altered token", altered(token), "failed to verify signature"},
		{"a token without a signature", unsigned(token), "unsupported algorithm"},
		{"a token that is signed with the published keys", confused(token, jwks), "unsupported algorithm"},
	})
	check("kubernetes: refuses an expired token", func() error {
		other, err := apiServer(ctx, given, "kubernetes-brief")
		if err != nil {
			return err
		}
		_, _, err = other.AuthenticateToken(ctx, given.expired("kubernetes-brief"))
		return refusedFor(err, "token is expired")
	})
}

// Builds the authenticator as kube-apiserver does from its configuration, for an audience. The only addition is this
// run's certificate.
func apiServer(ctx context.Context, given *given, audience string) (authenticator.Token, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	text := strings.Replace(given.OtherSide["kubernetes"], `["kubernetes"]`, fmt.Sprintf("[%q]", audience), 1)
	object, err := runtime.Decode(codecs.UniversalDecoder(), []byte(text))
	if err != nil {
		return nil, err
	}
	configuration := object.(*api.AuthenticationConfiguration)
	configuration.JWT[0].Issuer.CertificateAuthority = string(given.pem)
	compiler := cel.NewDefaultCompiler()
	if errors := validation.ValidateAuthenticationConfiguration(compiler, configuration, nil); len(errors) > 0 {
		return nil, errors.ToAggregate()
	}
	made, err := oidc.New(ctx, oidc.Options{
		JWTAuthenticator: configuration.JWT[0], CAContentProvider: certificate(given.pem), Compiler: compiler, SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
	})
	if err != nil {
		return nil, err
	}
	if err := until(30*time.Second, made.HealthCheck); err != nil {
		return nil, err
	}
	return made, nil
}

// The certificate of this run, in the form the authenticator expects.
type certificate []byte

func (c certificate) CurrentCABundleContent() []byte { return c }
