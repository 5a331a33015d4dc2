package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// limits is what no sync that finds no change can be faster than.
type limits struct {
	reads time.Duration // a bare loop of concurrent metadata reads of the same paths
	pages time.Duration // the pages of the listing, which name one another
}

// bareReaders is how many read at once in the bare loop.
const bareReaders = 64

// noopVsLimit compares a sync that finds no change with the longer of the two
// limits. 1 is as fast as can be.
func noopVsLimit() figure {
	return figure{
		name: "noop_vs_limit", unit: "ratio", aim: ">= 0.8",
		measure: func(ctx context.Context, l *lab) (float64, string, error) {
			all, err := l.noops(ctx, estateSize, noopTimes)
			if err != nil {
				return 0, "", err
			}
			r := median(all)
			limit, err := l.bareLimits(ctx)
			if err != nil {
				return 0, "", err
			}
			longer := max(limit.reads, limit.pages)
			how := fmt.Sprintf("sync %.2f s; %d bare reads by %d at once %.2f s, %d bare pages %.2f s",
				r.took.Seconds(), estateSize, bareReaders, limit.reads.Seconds(), pages(estateSize+1), limit.pages.Seconds())
			return longer.Seconds() / r.took.Seconds(), how, nil
		},
	}
}

// bareLimits measures both by plain HTTP.
func (l *lab) bareLimits(ctx context.Context) (*limits, error) {
	if l.limits != nil {
		return l.limits, nil
	}
	c, err := l.copied(ctx, estateSize)
	if err != nil {
		return nil, err
	}
	out := &limits{}
	begin := time.Now()
	if err := c.bareReads(ctx); err != nil {
		return nil, fmt.Errorf("bare reads: %w", err)
	}
	out.reads = time.Since(begin)
	begin = time.Now()
	if err := c.barePages(ctx); err != nil {
		return nil, fmt.Errorf("bare pages: %w", err)
	}
	out.pages = time.Since(begin)
	l.limits = out
	return out, nil
}

func (c *copied) bareReads(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bareReaders}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bareReaders)
	for i := range c.size {
		group.Go(func() error {
			_, err := get(ctx, client, c.far.Vault+"/v1/"+c.mount.Path+"/metadata/"+path(i), "X-Vault-Token", c.token)
			return err
		})
	}
	return group.Wait()
}

func (c *copied) barePages(ctx context.Context) error {
	road, err := roadTo(c.far)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: road}
	n := 0
	for link := c.far.KeyVault + "/secrets?api-version=7.4"; link != ""; n++ {
		body, err := get(ctx, client, link, "Authorization", "Bearer made-up")
		if err != nil {
			return err
		}
		var page struct{ NextLink string }
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		link = page.NextLink
	}
	if n != pages(c.size+1) {
		return fmt.Errorf("%d pages, want %d", n, pages(c.size+1))
	}
	return nil
}

// get reads a whole answer of status 200.
func get(ctx context.Context, client *http.Client, url, header, value string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(header, value)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}
