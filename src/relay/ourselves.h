/* SPDX-License-Identifier: MIT */
/* Which addresses are this machine's, for D4 (RFC 5321 s5.1): a relay that hands mail to itself has
 * made a loop. */
#ifndef RELAY_OURSELVES_H
#define RELAY_OURSELVES_H

#include "conf/conf.h"
#include "wire/ipaddr.h"

/* Where the relay of this configuration takes mail. An unspecified address stands for those of the
 * interfaces as they are now, without the loopback ones (which struct plan_config has). The caller
 * frees it; NULL: out of memory. An address in it may stand there twice. */
struct ipaddr *ourselves_find(const struct conf *c, size_t *n);

#endif
