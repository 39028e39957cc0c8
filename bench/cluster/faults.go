package main

import (
	"context"
)

func faults(ctx context.Context, s *site, r *result) error { return ctx.Err() }
