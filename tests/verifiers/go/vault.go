package main

import (
	"fmt"
	"slices"
)

func vault(given *given) {
	var mounted *method
	check("vault: the JWT method takes the configuration and the role, and reads the keys", func() (err error) {
		mounted, err = mount(given, "vault")
		return err
	})
	if mounted == nil {
		return
	}
	token := given.Tokens["vault"]

	check("vault: takes the token, for the person and the groups, with the role's policies", func() error {
		auth, err := mounted.login("people", token)
		if err != nil {
			return err
		}
		if auth.Alias.Name != given.User || len(auth.GroupAliases) != 1 || auth.GroupAliases[0].Name != "vault-people" {
			return fmt.Errorf("the person is %s, the groups are %v", auth.Alias.Name, auth.GroupAliases)
		}
		if !slices.Equal(auth.Policies, []string{"people"}) || auth.TTL.Minutes() != 15 {
			return fmt.Errorf("the policies are %v, for %s", auth.Policies, auth.TTL)
		}
		return nil
	})

	for _, bridge := range []string{"vault-rs256", "vault-eddsa"} {
		check("vault: takes the token of "+bridge, func() error {
			other, err := mount(given, bridge)
			if err != nil {
				return err
			}
			_, err = other.login("people", given.Tokens[bridge])
			return err
		})
	}

	judge := func(token string) error {
		_, err := mounted.login("people", token)
		return err
	}
	jwks, _ := given.fetch("/v1/bridges/vault/jwks.json")
	checkRefusals("vault", judge, []refusal{
		{"a token for another audience", given.Tokens["vault-elsewhere"], "invalid audience (aud)"},
		{"a token of another issuer", given.Tokens["vault-stranger"], "invalid issuer (iss)"},
		{"a token of another bridge", given.Tokens["kubernetes"], "failed to verify"},
		{"an access token", given.AccessToken, "failed to verify"},
		{"an ID token", given.IDToken, "failed to verify"},
		{"a broken signature", broken(token), "failed to verify"},
		{"an altered token", altered(token), "failed to verify"},
		{"a token without a signature", unsigned(token), "unexpected signature algorithm"},
		{"a token that is signed with the published keys", confused(token, jwks), "unexpected signature algorithm"},
	})

	// How long after expiry a role still accepts a token; the docs page says how long.
	check("vault: a role allows a minute beyond the end, and none where it says so", func() error {
		late := given.expired("vault-brief")
		if _, err := mounted.login("people", late); err != nil {
			return fmt.Errorf("within the minute: %w", err)
		}
		if err := mounted.write("role/strict", "role_type=jwt", "user_claim=sub", "bound_audiences=vault", "clock_skew_leeway=-1"); err != nil {
			return err
		}
		_, err := mounted.login("strict", late)
		return refusedFor(err, "token is expired")
	})
}
