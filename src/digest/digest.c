/* SPDX-License-Identifier: MIT */
/* Knows nettle's calls. Refuses to know what is hashed. */
#include "digest/digest.h"

#include <nettle/sha2.h>

void digest_sha256(const struct slice *part, size_t n, uint8_t out[static DIGEST_SHA256])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	for (size_t i = 0; i < n; i++) {
		if (part[i].n > 0)
			sha256_update(&ctx, part[i].n, part[i].p);
	}
	sha256_digest(&ctx, DIGEST_SHA256, out);
}
