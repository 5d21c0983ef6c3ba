/* SPDX-License-Identifier: MIT */
/* selfcheck: what the operator wants done when a promise is broken (V2). Plain data. */
#ifndef SELFCHECK_POLICY_H
#define SELFCHECK_POLICY_H

enum selfcheck_on_mismatch {
	ON_MISMATCH_LOG,
	ON_MISMATCH_NO_STARTTLS,
	ON_MISMATCH_REFUSE_START,
};

#endif
