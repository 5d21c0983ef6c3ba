/* SPDX-License-Identifier: MIT */
/*
 * base: text that somebody else wrote, on its way to a person, a log, or a line of ours. One
 * definition of what such text may never do, used at the door (wire/address.h) and at every output.
 *
 * What does not go through: control characters (C0, DEL, C1: terminals obey each of them), line and
 * paragraph separators, the marks, embeddings, overrides and isolates that turn the direction of
 * what stands beside them (Unicode Standard Annex 9: "gpj.exe" reads "exe.jpg"), and octets that
 * are no UTF-8. Everything else is text. Pure; any thread.
 */
#ifndef BASE_FOREIGN_H
#define BASE_FOREIGN_H

#include "base/buf.h"

/* Would this character do something instead of being seen? */
bool foreign_is_control(uint32_t c);

/* The octets of the character at the start of s (at least 1; s is not empty). *shown: it may be
 * shown as it is; else it is one control character, or one octet that is no UTF-8. */
size_t foreign_take(struct slice s, bool *shown);

/* May all of it be shown as it is? */
bool foreign_is_plain(struct slice s);

/* Adds s; of what may not be shown each octet as \xHH. At most 4 * s.n octets. */
void foreign_escape(struct buf *out, struct slice s);

#endif
