/* SPDX-License-Identifier: MIT */
/*
 * relay: is this a mail that an intake may hand in? An intake speaks to the network, and whoever
 * took it over says what he likes: the keeper asks of each field what the door asks of a client, so
 * that no row of the queue holds what later cannot be written, sent or shown. Pure.
 */
#ifndef RELAY_MAIL_CHECK_H
#define RELAY_MAIL_CHECK_H

#include "relay/mail.h"

/* NULL: yes; else which field is wrong. */
const char *mail_complaint(const struct mail *m);

#endif
