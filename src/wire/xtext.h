/* SPDX-License-Identifier: MIT */
/* wire: reading xtext (RFC 3461 s4); xtext_encode() is in wire/command.h. Pure; any thread. */
#ifndef WIRE_XTEXT_H
#define WIRE_XTEXT_H

#include "base/slice.h"

/* The octets that `text` stands for, into `out`; *n: how many. False on an octet that xtext does
 * not have, a bad escape, or too little room. */
bool xtext_decode(struct slice text, uint8_t *out, size_t room, size_t *n);

#endif
