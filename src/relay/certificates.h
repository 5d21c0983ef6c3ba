/* SPDX-License-Identifier: MIT */
/* relay: the listeners' certificates and keys, from the files that the configuration names. */
#ifndef RELAY_CERTIFICATES_H
#define RELAY_CERTIFICATES_H

#include "conf/conf.h"
#include "tls/tls_server.h"

/* NULL: `error` says which file and why. */
struct tls_server *certificates_load(const struct conf *c, enum tls_server_use use, char *error,
				     size_t room);

#endif
