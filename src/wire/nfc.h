/* SPDX-License-Identifier: MIT */
/*
 * wire: is a text in Unicode's Normalization Form C (UAX 15; RFC 6532 s3.1 wants it of addresses)?
 * Two addresses that look the same but are other octets are two mailboxes to some hosts and one to
 * others: whoever writes the second one chooses which.
 *
 * A pure table (nfc.tbl) instead of a library: the core includes none, and every process that looks
 * at an address would have it. Pure; any thread.
 */
#ifndef WIRE_NFC_H
#define WIRE_NFC_H

#include "base/slice.h"

enum { NFC_TEXT_MAX = 1024 }; /* octets: bounds the time for a text of many combining marks */

/* False also for a longer text, and for what is no UTF-8. */
bool nfc_is_normal(struct slice s);

#endif
