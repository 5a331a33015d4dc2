package state_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/keyferry/keyferry/internal/contract"
	"github.com/keyferry/keyferry/secret"
	"github.com/keyferry/keyferry/state"
)

// TestBlobOnAzurite needs KEYFERRY_TEST_AZURITE, a connection string.
func TestBlobOnAzurite(t *testing.T) {
	connection := os.Getenv("KEYFERRY_TEST_AZURITE")
	if connection == "" {
		t.Skip("KEYFERRY_TEST_AZURITE is not set")
	}
	contract.State(t, func(t *testing.T) contract.StateSubject {
		name := "t-" + strings.ToLower(rand.Text())
		admin, err := container.NewClientFromConnectionString(connection, name, nil)
		if err != nil {
			t.Fatal("KEYFERRY_TEST_AZURITE is not a connection string")
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
			defer cancel()
			_, _ = admin.Delete(ctx, nil)
		})
		wire := &lossy{}
		store, err := state.NewBlobFromConnection(secret.New(connection), name, wire)
		if err != nil {
			t.Fatal(err)
		}
		return contract.StateSubject{
			Store:      store,
			LoseAnswer: func() { wire.lose.Store(true) },
			Expire: func(t *testing.T, name string) {
				l, err := lease.NewBlobClient(admin.NewBlobClient("leases/"+name), nil)
				if err != nil {
					t.Fatal(err)
				}
				// Breaking at once stands for a minute of waiting: to all others it is the same.
				if _, err := l.BreakLease(t.Context(), &lease.BlobBreakOptions{BreakPeriod: to.Ptr(int32(0))}); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// lossy carries requests to the server and on demand loses one answer.
type lossy struct{ lose atomic.Bool }

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.lose.CompareAndSwap(true, false) {
		resp.Body.Close()
		return nil, errors.New("connection reset")
	}
	return resp, err
}
