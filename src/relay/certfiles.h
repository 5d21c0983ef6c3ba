/* SPDX-License-Identifier: MIT */
/* relay: have the files of relay.certificate and relay.key changed? The parent asks now and then.
 */
#ifndef RELAY_CERTFILES_H
#define RELAY_CERTFILES_H

#include "conf/conf.h"

struct certfiles {
	uint64_t known; /* how they looked when they were read */
	uint64_t last;  /* at the last look */
};

/* They are read now: this is how they look. */
void certfiles_note(struct certfiles *f, const struct conf *c);
/*
 * True once after a change: when two looks in a row saw the same that is not known yet, so that
 * somebody who installs a certificate and its key one after the other is not met half way.
 */
bool certfiles_changed(struct certfiles *f, const struct conf *c);

#endif
