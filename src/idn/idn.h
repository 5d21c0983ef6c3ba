/* SPDX-License-Identifier: MIT */
/*
 * idn: internationalised domain names (libidn2): U-labels to A-labels and back (D10).
 *
 * IDNA2008 (RFC 5891) with the non-transitional mapping of UTS #46: "Straße.example" and
 * "STRASSE.example" are different names. Input is UTF-8. Pure functions; any thread.
 */
#ifndef IDN_IDN_H
#define IDN_IDN_H

#include <stddef.h>

enum idn_error {
	IDN_OK = 0,
	IDN_EMPTY = -1,    /* nothing given, or an empty label */
	IDN_TOO_LONG = -2, /* a label over 63 octets, a name over 253, or more than `room` */
	IDN_BAD_UTF8 = -3,
	IDN_DISALLOWED = -4, /* a character or a combination that IDNA does not allow */
	IDN_BAD_ALABEL = -5, /* "xn--" that does not decode, or not to what it claims */
	IDN_NO_MEMORY = -6,
};

/*
 * To A-labels, lower case, without a trailing dot (the root "." stays). A name of ASCII labels
 * passes through lower-cased, also where IDNA itself would refuse it ("_25._tcp.mx.example", labels
 * with "--"): such names are in use, and DNS is the judge. A-labels ("xn--...") must be valid.
 * Always NUL-terminates when room > 0; on an error out is "".
 */
enum idn_error idn_to_ascii(const char *u, char *out, size_t room);

/* For people: A-labels to U-labels. What does not decode stays as it is. */
enum idn_error idn_to_unicode(const char *a, char *out, size_t room);

/*
 * The normal form of a destination (wire/destination.h), or of a pattern for destinations, from
 * what somebody wrote: names in U-labels or A-labels, literals. `out` has DESTINATION_ROOM octets
 * and is "" on an error; *why (may be NULL) then has the words. IDN_NO_MEMORY says nothing about
 * the text.
 */
enum idn_error idn_destination(const char *text, char *out, const char **why);
enum idn_error idn_destination_pattern(const char *text, char *out, const char **why);

const char *idn_strerror(enum idn_error e); /* "a label is longer than 63 octets" */

#endif
