/* SPDX-License-Identifier: MIT */
/*
 * wire: TLSA RDATA (RFC 6698 s2.1) and its presentation form (RFC 6698 s2.2; mnemonics of RFC
 * 7218). Pure functions; `data` is a slice of the input. Whether a record is usable is not decided
 * here (src/dane).
 */
#ifndef WIRE_TLSA_H
#define WIRE_TLSA_H

#include "base/slice.h"

enum tlsa_usage { TLSA_PKIX_TA = 0, TLSA_PKIX_EE = 1, TLSA_DANE_TA = 2, TLSA_DANE_EE = 3 };
enum tlsa_selector { TLSA_CERT = 0, TLSA_SPKI = 1 };
enum tlsa_mtype { TLSA_FULL = 0, TLSA_SHA256 = 1, TLSA_SHA512 = 2 };

/* Does the data of a Full(0) record parse as a certificate or key? The core cannot know; the edge
 * says. */
enum tlsa_full { TLSA_FULL_UNKNOWN = 0, TLSA_FULL_PARSES, TLSA_FULL_BROKEN };

struct tlsa {
	uint8_t usage; /* any octet: unknown values are kept, never rejected here */
	uint8_t selector;
	uint8_t mtype;
	enum tlsa_full full; /* TLSA_FULL_UNKNOWN after parsing */
	struct slice data;
	bool short_rdata; /* RDATA had fewer than 3 octets: the numbers above are then 0 and mean
			     nothing */
};

void tlsa_parse(struct slice rdata, struct tlsa *out); /* never fails: see short_rdata */

enum tlsa_text_error {
	TLSA_TEXT_OK = 0,
	TLSA_TEXT_FIELDS = -1, /* not four fields */
	TLSA_TEXT_NUMBER =
	    -2, /* usage, selector or matching type is not 0 to 255 or a known mnemonic */
	TLSA_TEXT_HEX = -3,
	TLSA_TEXT_ROOM = -4,
};
/* "3 1 1 HEX": the hex may contain blanks. Decoded data goes to store (room octets); out->data
 * points there. */
enum tlsa_text_error tlsa_from_text(struct slice text, uint8_t *store, size_t room,
				    struct tlsa *out);
const char *tlsa_text_strerror(enum tlsa_text_error e);

/* Total order: usage, selector, mtype, data. For canonical keys (T9). */
int tlsa_cmp(const struct tlsa *a, const struct tlsa *b);

#endif
