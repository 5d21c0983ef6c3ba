/* SPDX-License-Identifier: MIT */
/*
 * DNS answers for tests, written on one line:
 *
 *   STATUS [via ALIAS[,ALIAS...]] [RECORD[, RECORD...]]
 *
 *   STATUS   secure | insecure                     records follow
 *            absent secure | absent insecure       the name exists, the type does not
 *            nxdomain secure | nxdomain insecure
 *            failed [WHY]                          SERVFAIL, timeout, bogus: all the same to us
 *   RECORD   A, AAAA: an address. MX: "10 mx.example.org". CNAME: a name.
 *            TLSA: "3 1 1 aa*32" (octet times count; or plain hex, or "-" for no data),
 *            followed by "parses" or "broken" for the edge's word on a Full(0) record;
 *            "short" is RDATA of fewer than three octets.
 */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include "wire/answer.h"

/* NULL when the text cannot be read (or memory is out): the test is wrong. One reference. */
struct answer *fake_answer(const char *name, uint16_t type, const char *text);

/* The next blank-separated word of *text, which moves behind it; empty at the end. */
struct slice fake_word(struct slice *text);

#endif
