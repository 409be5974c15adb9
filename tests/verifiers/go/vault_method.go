package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/sdk/logical"
)

// Vault's JWT method without a Vault around it: requests reach it as Vault would pass them on.
type method struct {
	backend logical.Backend
	storage logical.Storage
}

// Carries out the docs' commands as `vault` would, for the keys of a bridge. The only addition is this run's
// certificate.
func mount(given *given, bridge string) (*method, error) {
	mounted := &method{storage: &logical.InmemStorage{}}
	var err error
	mounted.backend, err = jwtauth.Factory(context.Background(), &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), System: &logical.StaticSystemView{}, StorageView: mounted.storage,
	})
	if err != nil {
		return nil, err
	}
	commands := strings.ReplaceAll(given.OtherSide["vault"], "\\\n", " ")
	commands = strings.ReplaceAll(commands, "/vault/jwks.json", "/"+bridge+"/jwks.json")
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "vault" || words[1] != "write" {
			continue
		}
		path := strings.TrimPrefix(words[2], "auth/jwt/")
		settings := words[3:]
		if path == "config" {
			settings = append(settings, "jwks_ca_pem="+string(given.pem))
		}
		if err := mounted.write(path, settings...); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return mounted, nil
}

func (m *method) write(path string, settings ...string) error {
	_, err := m.ask(path, settings...)
	return err
}

func (m *method) login(role, token string) (*logical.Auth, error) {
	answer, err := m.ask("login", "role="+role, "jwt="+token)
	if err != nil {
		return nil, err
	}
	return answer.Auth, nil
}

func (m *method) ask(path string, settings ...string) (*logical.Response, error) {
	data := map[string]any{}
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		data[name] = value
	}
	request := &logical.Request{
		Operation: logical.UpdateOperation, Path: path, Data: data, Storage: m.storage, Connection: &logical.Connection{RemoteAddr: "127.0.0.1"},
	}
	looked, exists, err := m.backend.HandleExistenceCheck(context.Background(), request)
	if err != nil {
		return nil, err
	}
	if looked && !exists {
		request.Operation = logical.CreateOperation
	}
	answer, err := m.backend.HandleRequest(context.Background(), request)
	if err != nil {
		return nil, err
	}
	if answer != nil && answer.IsError() {
		return nil, answer.Error()
	}
	return answer, nil
}
