/* SPDX-License-Identifier: MIT */
/*
 * wire: base64 (RFC 4648 s4), as AUTH needs it (RFC 4954 s4). Pure; any thread.
 */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "base/slice.h"

/* The octets that `text` stands for, into `out`; *n: how many. False on an octet outside the
 * alphabet (blanks too), wrong padding, bits behind the end that are not zero, or too little room:
 * one value has one spelling. The empty text is no octets. */
bool base64_decode(struct slice text, uint8_t *out, size_t room, size_t *n);

/* Characters that n octets become, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
/* Writes BASE64_LEN(in.n) characters and a NUL behind them. */
void base64_encode(struct slice in, char *out);

#endif
