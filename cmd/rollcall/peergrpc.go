package main

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
)

// peerCredentials are a peerClient for gRPC, which asks for one configuration and dials all nodes with it.
type peerCredentials struct {
	credentials.TransportCredentials
	client *peerClient
}

// credentials is what grpc.WithTransportCredentials takes. The serving side takes credentials.NewTLS of the server's
// configuration.
func (c *peerClient) credentials() credentials.TransportCredentials {
	return peerCredentials{credentials.NewTLS(c.config("")), c}
}

// ClientHandshake verifies the node by the authorities of this moment; authority is the host:port that was dialled.
func (p peerCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = authority
	}
	if host == "" {
		return nil, nil, errNoPeerName
	}
	return credentials.NewTLS(p.client.config(host)).ClientHandshake(ctx, authority, conn)
}

// Clone implements credentials.TransportCredentials.
func (p peerCredentials) Clone() credentials.TransportCredentials { return p.client.credentials() }
