/* SPDX-License-Identifier: MIT */
/* From relay.certificate and relay.key to what a listener serves. */
#include "relay/certificates.h"

#include "loop/loop.h"

struct tls_server *certificates_load(const struct conf *c, enum tls_server_use use, char *error,
				     size_t room)
{
	/* Room for one too many: tls_server_new() refuses it, instead of us forgetting it. */
	struct tls_server_cert cert[TLS_SERVER_CERTS_MAX + 1];
	size_t n = 0;
	for (; n <= TLS_SERVER_CERTS_MAX && c->relay_certificate[n] != NULL; n++)
		cert[n] = (struct tls_server_cert){.chain_file = c->relay_certificate[n],
						   .key_file = c->relay_certificate[n]};
	for (size_t i = 0; i < n && c->relay_key[i] != NULL; i++)
		cert[i].key_file = c->relay_key[i];
	struct tls_server_config config = {.cert = cert, .ncert = n, .use = use};
	return tls_server_new(&config, loop_wall_s(), error, room);
}
