/* SPDX-License-Identifier: MIT */
/* dane: what the operator wants for one destination. Plain data, filled from the configuration. */
#ifndef DANE_POLICY_H
#define DANE_POLICY_H

#include "base/slice.h"

enum dane_level {
	LEVEL_MAY,       /* opportunistic TLS without DANE (T11) */
	LEVEL_DANE,      /* RFC 7672 opportunistic DANE; the default */
	LEVEL_DANE_ONLY, /* mandatory DANE (M1, RFC 7672 s6) */
};
const char *dane_level_name(enum dane_level l); /* "dane-only" */
bool dane_level_from_name(const char *name, enum dane_level *out);

enum reference_names { REFERENCE_ALL, REFERENCE_BASE }; /* T4 */
enum insecure_mx { INSECURE_MX_DANE, INSECURE_MX_MAY }; /* D5 */
enum mx_alias { MX_ALIAS_FOLLOW, MX_ALIAS_REFUSE };     /* D7 */

struct dane_policy {
	enum dane_level level;
	enum reference_names reference_names;
	enum insecure_mx insecure_mx;
	enum mx_alias mx_alias;
	uint16_t port;       /* destination port; also in the TLSA owner name (D8) */
	bool clear_fallback; /* level may: retry in clear after a failed handshake (T11) */
};

#endif
