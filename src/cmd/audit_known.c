/* SPDX-License-Identifier: MIT */
/* What a probe found, against what the relay saw of that host before (A2). Nothing is recorded. */
#include "cmd/audit_known.h"

#include "relay/audit_file.h"
#include "relay/keeper_audit.h"

#include <limits.h>

static bool digest_of(const char *hex, uint8_t out[static AUDIT_DIGEST])
{
	size_t n = 0;
	return hex != NULL && hex_decode(slice_str(hex), out, AUDIT_DIGEST, &n) &&
	       n == AUDIT_DIGEST;
}

const char *audit_continuity_of(struct store_audit *a, const struct plan_host *h, uint16_t port,
				const struct tls_facts *t)
{
	struct known_key known[AUDIT_KNOWN_MAX];
	struct presented_key p = {.present = true};
	struct continuity_verdict v;
	char type[AUDIT_KEY_TYPE_MAX];
	size_t n = 0;
	if (a == NULL || t == NULL || t->nchain == 0 || !digest_of(t->chain[0].sha256, p.cert) ||
	    !digest_of(t->chain[0].spki_sha256, p.key))
		return NULL;
	audit_key_type(slice_str(t->chain[0].key), type);
	if (audit_known(a, slice_str(h->name), port, type, known, &n) != STORE_OK)
		return NULL;
	continuity_decide(known, n, &p, h->verdict.policy,
			  t->match.present ? AUTHORITY_TLSA : AUTHORITY_NONE, &v);
	return continuity_name(v.continuity);
}

struct store_audit *audit_open_quietly(const struct conf *c, const char *file, char *error,
				       size_t room)
{
	char path[PATH_MAX];
	struct store_audit *a = NULL;
	audit_path(c, path, sizeof(path));
	store_audit_open_read(file != NULL ? file : path, &a, error, room);
	return a;
}
