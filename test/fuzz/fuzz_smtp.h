/* SPDX-License-Identifier: MIT */
/* A server made of fuzz octets, for the targets that run the SMTP client machine. */
#ifndef TEST_FUZZ_SMTP_H
#define TEST_FUZZ_SMTP_H

#include "fuzz.h"

#include "smtp/client.h"

#include <string.h>

/* Limit of what the machine holds for the driver: a pipelined group, or one stuffed chunk of text.
 */
enum { FUZZ_OUTPUT_MAX = 1024 * 1024 };

/* Whole replies, so that a short input gets far. */
static inline struct slice fuzz_reply(uint8_t which)
{
	static const char *const replies[] = {
	    "250 2.0.0 ok\r\n",
	    "220 mx ESMTP\r\n",
	    "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n",
	    "250-mx\r\n250 STARTTLS\r\n",
	    "250-mx\r\n250-SIZE 100\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
	    "354 go\r\n",
	    "221 bye\r\n",
	    "421 4.3.2 closing\r\n",
	    "450 4.2.1 later\r\n",
	    "452 4.5.3 too many\r\n",
	    "550 5.1.1 no\r\n",
	    "552 5.2.2 full\r\n",
	    "250-half\r\n",
	    "250 2.0.0 ok\r\n250 2.0.0 ok\r\n",
	    "2",
	    "ok\n",
	};
	return slice_str(replies[which % 16]);
}

static inline bool fuzz_has_envelope(struct slice s)
{
	return s.n > 0 &&
	       (memmem(s.p, s.n, "MAIL", 4) != NULL || memmem(s.p, s.n, "RCPT", 4) != NULL ||
		memmem(s.p, s.n, "DATA", 4) != NULL || memmem(s.p, s.n, "BDAT", 4) != NULL);
}

#endif
