package remote

import (
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// dialTimeout bounds each step of reaching a peer: to connect, and to be welcomed.
	dialTimeout = time.Second
	// alive and silence find a link dead that nobody closed: after silence where data is on its way, else after both. Less
	// than 10 s gRPC does not allow.
	alive   = 10 * time.Second
	silence = 2 * time.Second
	// framing is what a message may have around it.
	framing = 1 << 20
	// queue is how many messages a peer's queue has room for at first; the library's default takes 16 MB.
	queue = 1024
)

// transport is the library's configuration.
func (r *Remote) transport(host string, port int) *remote.Config {
	client, server := insecure.NewCredentials(), insecure.NewCredentials()
	if r.cfg.ServerTLS != nil {
		client, server = r.cfg.ClientTLS, credentials.NewTLS(r.cfg.ServerTLS)
	}
	largest := r.cfg.Limits.Bytes + framing
	c := remote.Configure(host, port,
		remote.WithAdvertisedHost(r.cfg.Advertise),
		remote.WithEndpointWriterQueueSize(queue),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(client),
			grpc.WithNoProxy(),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: redial, Multiplier: 1, MaxDelay: redial},
				MinConnectTimeout: dialTimeout}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: alive, Timeout: silence}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest), grpc.MaxCallSendMsgSize(largest)),
			grpc.WithStreamInterceptor(r.links.open)),
		remote.WithServerOptions(
			grpc.Creds(server),
			grpc.MaxRecvMsgSize(largest), grpc.MaxSendMsgSize(largest),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: alive, Timeout: silence}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: alive / 2, PermitWithoutStream: true}),
			grpc.WaitForHandlers(true),
			grpc.StreamInterceptor(r.admit), grpc.UnaryInterceptor(refuseUnary)))
	// The library sleeps 2 s after each failed attempt, even the last. links.open lets none of them fail.
	c.MaxRetryCount = 1
	return c
}
