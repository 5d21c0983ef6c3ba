/* SPDX-License-Identifier: MIT */
/*
 * relay: is this a mail that an intake may hand in? An intake speaks to the network, and whoever
 * took it over says what he likes: the keeper asks of each field what the door asks of a client, so
 * that no row of the queue holds what later cannot be written, sent or shown.
 */
#ifndef RELAY_MAIL_CHECK_H
#define RELAY_MAIL_CHECK_H

#include "relay/mail.h"

/* NULL: yes; else which field is wrong. Pure. */
const char *mail_complaint(const struct mail *m);

/*
 * Of its text: inline, or all that is in the file fd (-1: none). A text that is longer or shorter
 * than was said would get past every limit that counts octets, or be half a message; a pipe, a
 * socket or a device could keep the keeper waiting. What the other end writes into the file
 * afterwards changes nothing but its own text.
 */
const char *mail_text_complaint(const struct mail *m, int fd);

#endif
