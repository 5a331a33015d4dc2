package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// inProcess hands requests to a handler, without sockets and TLS.
type inProcess struct{ handler http.Handler }

func (p inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}

// credential counts the tokens it gives and remembers the scope and tenant it was asked for.
type credential struct {
	given  int
	asked  policy.TokenRequestOptions
	expiry time.Time
}

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.given++
	c.asked = o
	return azcore.AccessToken{Token: "made-up", ExpiresOn: c.expiry}, nil
}

// TestAzsecrets runs one story with the real client, in process under the service's own host name and over TLS on loopback.
func TestAzsecrets(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		clk := newClock()
		v := New(Options{Now: clk.Now, DeleteDelay: 10 * time.Second, RecoverDelay: 10 * time.Second})
		story(t, v, clk, "https://kv1.vault.azure.net", &azsecrets.ClientOptions{ClientOptions: options(inProcess{v})})
	})
	t.Run("over TLS", func(t *testing.T) {
		clk := newClock()
		v := New(Options{Now: clk.Now, IDHost: "kv1.vault.azure.net", DeleteDelay: 10 * time.Second, RecoverDelay: 10 * time.Second})
		server := httptest.NewTLSServer(v)
		defer server.Close()
		story(t, v, clk, server.URL, &azsecrets.ClientOptions{
			ClientOptions:                        options(server.Client()),
			DisableChallengeResourceVerification: true,
		})
	})
}

func options(transport policy.Transporter) azcore.ClientOptions {
	return azcore.ClientOptions{Transport: transport, Retry: policy.RetryOptions{MaxRetries: -1}}
}

func story(t *testing.T, v *Vault, clk *clock, url string, o *azsecrets.ClientOptions) {
	ctx := t.Context()
	cred := &credential{expiry: time.Now().Add(time.Hour)}
	client, err := azsecrets.NewClient(url, cred, o)
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]string{}
	for i := range 60 {
		name, value := fmt.Sprintf("secret-%02d", i), fmt.Sprintf("value %d", i)
		want[name] = value
		if _, err := client.SetSecret(ctx, name, azsecrets.SetSecretParameters{
			Value: &value, ContentType: ptr("text/plain"), Tags: map[string]*string{"n": ptr(fmt.Sprint(i))},
		}, nil); err != nil {
			t.Fatalf("set %s: %v", name, err)
		}
	}
	if cred.given != 1 || cred.asked.TenantID != DefaultTenant || cred.asked.Scopes[0] != "https://vault.azure.net/.default" {
		t.Errorf("the challenge led to %d tokens, the last for %+v", cred.given, cred.asked)
	}

	v.ResetCalls()
	listed := 0
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		for _, s := range page.Value {
			listed++
			if s.ID.Version() != "" || *s.ContentType != "text/plain" {
				t.Errorf("listed %s as %s", *s.ID, *s.ContentType)
			}
			got, err := client.GetSecret(ctx, s.ID.Name(), "", nil)
			if err != nil || *got.Value != want[s.ID.Name()] {
				t.Errorf("get %s: %v", s.ID.Name(), err)
			}
		}
	}
	if calls := v.Calls(); listed != 60 || calls[OpList] != 3 || calls[OpGetLatest] != 60 {
		t.Errorf("listed %d by %v", listed, calls)
	}

	updated, err := client.UpdateSecretProperties(ctx, "secret-00", "", azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: ptr(false)},
	}, nil)
	if err != nil || updated.Value != nil || updated.ID.Version() == "" {
		t.Errorf("update: %v", err)
	}
	_, err = client.GetSecret(ctx, "secret-00", "", nil)
	expect(t, "get disabled", err, 403, "Forbidden", "SecretDisabled")

	deleted, err := client.DeleteSecret(ctx, "secret-01", nil)
	if err != nil {
		t.Fatalf("delete: %v", err)
	}
	if got := deleted.ScheduledPurgeDate.Sub(*deleted.DeletedDate); got != 90*24*time.Hour || deleted.Value != nil {
		t.Errorf("delete: retention %v, value %v", got, deleted.Value)
	}
	_, err = client.GetDeletedSecret(ctx, "secret-01", nil)
	expect(t, "get deleting", err, 404, "SecretNotFound", "")
	_, err = client.SetSecret(ctx, "secret-01", azsecrets.SetSecretParameters{Value: ptr("x")}, nil)
	expect(t, "set while deleting", err, 409, "Conflict", "ObjectIsBeingDeleted")
	_, err = client.PurgeDeletedSecret(ctx, "secret-01", nil)
	expect(t, "purge while deleting", err, 409, "Conflict", "ObjectIsBeingDeleted")
	clk.advance(11 * time.Second)
	_, err = client.SetSecret(ctx, "secret-01", azsecrets.SetSecretParameters{Value: ptr("x")}, nil)
	expect(t, "set while deleted", err, 409, "Conflict", "ObjectIsDeletedButRecoverable")

	recovered, err := client.RecoverDeletedSecret(ctx, "secret-01", nil)
	if err != nil || *recovered.ID != *deleted.ID {
		t.Fatalf("recover: %v, id %v", err, recovered.ID)
	}
	_, err = client.GetSecret(ctx, "secret-01", "", nil)
	expect(t, "get while recovering", err, 404, "SecretNotFound", "")
	clk.advance(6 * time.Second)
	if got, err := client.GetSecret(ctx, "secret-01", "", nil); err != nil || *got.Value != "value 1" {
		t.Errorf("get after recovery: %v", err)
	}
	_, err = client.SetSecret(ctx, "secret-01", azsecrets.SetSecretParameters{Value: ptr("x")}, nil)
	expect(t, "set while settling", err, 409, "Conflict", "ObjectIsBeingRecovered")
	clk.advance(6 * time.Second)
	if _, err := client.SetSecret(ctx, "secret-01", azsecrets.SetSecretParameters{Value: ptr("x")}, nil); err != nil {
		t.Errorf("set after recovery: %v", err)
	}

	backup, err := client.BackupSecret(ctx, "secret-01", nil)
	if err != nil {
		t.Fatalf("backup: %v", err)
	}
	_, err = client.RestoreSecret(ctx, azsecrets.RestoreSecretParameters{SecretBackup: backup.Value}, nil)
	expect(t, "restore onto itself", err, 409, "Conflict", "")
	if _, err := client.DeleteSecret(ctx, "secret-01", nil); err != nil {
		t.Fatal(err)
	}
	clk.advance(11 * time.Second)
	if _, err := client.PurgeDeletedSecret(ctx, "secret-01", nil); err != nil {
		t.Fatalf("purge: %v", err)
	}
	if _, err := client.RestoreSecret(ctx, azsecrets.RestoreSecretParameters{SecretBackup: backup.Value}, nil); err != nil {
		t.Fatalf("restore: %v", err)
	}
	versions := 0
	for pager := client.NewListSecretPropertiesVersionsPager("secret-01", nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatalf("list versions: %v", err)
		}
		versions += len(page.Value)
	}
	if versions != 2 {
		t.Errorf("%d versions restored, want 2", versions)
	}
}

func expect(t *testing.T, what string, err error, status int, code, inner string) {
	t.Helper()
	var re *azcore.ResponseError
	if !errors.As(err, &re) {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
		return
	}
	var body struct {
		Error struct{ InnerError struct{ Code string } }
	}
	if err := json.NewDecoder(re.RawResponse.Body).Decode(&body); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if re.StatusCode != status || re.ErrorCode != code || body.Error.InnerError.Code != inner {
		t.Errorf("%s: %d %s/%s, want %d %s/%s", what, re.StatusCode, re.ErrorCode, body.Error.InnerError.Code, status, code, inner)
	}
}

func ptr[T any](v T) *T { return &v }
