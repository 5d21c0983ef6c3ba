/* SPDX-License-Identifier: MIT */
/* digest: SHA-256 (nettle), for whoever hands it to the core. Pure; any thread. */
#ifndef DIGEST_DIGEST_H
#define DIGEST_DIGEST_H

#include "base/slice.h"

enum { DIGEST_SHA256 = 32 };

/* Of the parts one after the other. */
void digest_sha256(const struct slice *part, size_t n, uint8_t out[static DIGEST_SHA256]);

#endif
