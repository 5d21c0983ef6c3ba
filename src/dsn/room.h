/* SPDX-License-Identifier: MIT */
/* dsn: what the files of this room share. Included by this room only. */
#ifndef DSN_ROOM_H
#define DSN_ROOM_H

#include "dsn/dsn.h"

/* text.c: text of anybody as safe, folded lines. */

/* The next character of s as it may be written: its octets, or "?" for one octet of s (*used). */
struct slice text_clean(struct slice s, bool utf8, size_t *used);
bool text_is_ascii(const char *s);
/* The characters of s, cleaned, without folding. */
void text_add(struct buf *out, const char *s, bool utf8);
/* A paragraph: `first` before the first line, `next` (at least a blank, so that no line of somebody
 * else's starts in the first column) before the others; words are cleaned, lines end with CRLF. */
void text_fold(struct buf *out, const char *first, const char *next, const char *s, bool utf8);
/* "Name: value", folded. Nothing if value is NULL or "". */
void text_field(struct buf *out, const char *name, const char *value, bool utf8);

/* status.c: the machine's part (RFC 3464 s2). */
void dsn_status_part(const struct dsn_message *m, struct buf *out);

/* human.c: the person's part. */
void dsn_human_part(const struct dsn_message *m, struct buf *out);

/* The code of the last attempt (the reason's, when that is none), its class as the action has it.
 */
enum { CODE_MAX = 16 };
void dsn_code_of(const struct dsn_rcpt *r, char out[static CODE_MAX]);

/* The strongest action among the recipients. */
enum dsn_action dsn_action_of(const struct dsn_message *m);

#endif
